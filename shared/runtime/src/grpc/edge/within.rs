//! The same edge for calls that are made within this process: requests and answers are handed over
//! as they are, and everything else is as for calls from elsewhere.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{FutureExt as _, Stream};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status, body::Body};

use super::{
    Call, EdgeLayer,
    future::{Handled, Stage},
    meter::Watched,
    span_of,
};
use crate::grpc::refusal;

impl EdgeLayer {
    /// Calls the method at this path (`/service/method`), whose answer must begin by a deadline. The
    /// method is called here, and what it answers with is waited for in the future.
    pub fn within<T, R, F, M>(
        &self,
        path: &str,
        request: Request<T>,
        deadline: Option<Instant>,
        method: M,
    ) -> impl Future<Output = Result<Response<R>, Status>> + use<T, R, F, M>
    where
        M: FnOnce(Request<T>) -> F,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        self.begin(path, request, deadline, method).map(|begun| {
            let (response, mut watched) = answered(begun)?;
            watched.end(Code::Ok);
            Ok(response)
        })
    }

    /// As [`EdgeLayer::within`], for a method that answers with a stream. The deadline is that of its
    /// beginning and does not end it.
    pub fn stream_within<T, S, F, M>(
        &self,
        path: &str,
        request: Request<T>,
        deadline: Option<Instant>,
        method: M,
    ) -> impl Future<Output = Result<Response<EdgeStream<S>>, Status>> + use<T, S, F, M>
    where
        M: FnOnce(Request<T>) -> F,
        F: Future<Output = Result<Response<S>, Status>>,
    {
        self.begin(path, request, deadline, method).map(|begun| {
            let (response, watched) = answered(begun)?;
            Ok(response.map(|inner| EdgeStream { inner: Some(inner), watched }))
        })
    }

    fn begin<T, F: Future>(
        &self,
        path: &str,
        mut request: Request<T>,
        deadline: Option<Instant>,
        method: impl FnOnce(Request<T>) -> F,
    ) -> Handled<F, Body> {
        let started = std::time::Instant::now();
        let arrived = Instant::from_std(started);
        let shared = &*self.within.shared;
        let limits = &shared.limits;
        let allowed = match deadline {
            Some(deadline) => deadline.min(arrived + limits.max_timeout),
            None => arrived + limits.default_timeout,
        };
        let meter = Arc::clone(shared.meters.of(path));
        let headers = request.metadata().as_ref();
        let traced = meter.begin_span(headers);
        let call = Call::new(headers, allowed, deadline, &self.within, traced.as_ref());
        let span = span_of(&call);
        let watched = Watched::new(meter, call.clone(), started, traced);
        let stage = if allowed <= arrived {
            Stage::refused(refusal::deadline_exceeded(), None)
        } else if !call.begin_waiting() {
            Stage::refused(refusal::limit_exceeded(), None)
        } else {
            request.extensions_mut().insert(call.clone());
            Stage::handling(&call, &span, || method(request))
        };
        Handled::new(stage, watched, span)
    }
}

/// The answer that begins, and the watch over the rest of it. A failure ends the watch.
fn answered<R>(
    (outcome, mut watched): (Result<Result<Response<R>, Status>, Status>, Watched),
) -> Result<(Response<R>, Watched), Status> {
    match outcome.flatten() {
        Ok(response) => Ok((response, watched)),
        Err(status) => {
            watched.end(status.code());
            Err(status)
        }
    }
}

pin_project! {
    /// An answer that is a stream. It ends after its first failure.
    #[derive(Debug)]
    pub struct EdgeStream<S> {
        // None when the last word was said.
        #[pin]
        inner: Option<S>,
        watched: Watched,
    }
}

impl<S, M> Stream for EdgeStream<S>
where
    S: Stream<Item = Result<M, Status>>,
{
    type Item = Result<M, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let next = match catch_unwind(AssertUnwindSafe(|| inner.poll_next(context))) {
            Ok(next) => ready!(next),
            Err(_panic) => Some(Err(refusal::internal(this.watched.call()))),
        };
        match &next {
            Some(Ok(_)) => return Poll::Ready(next),
            Some(Err(status)) => this.watched.end(status.code()),
            None => this.watched.end(Code::Ok),
        }
        this.inner.set(None);
        Poll::Ready(next)
    }
}
