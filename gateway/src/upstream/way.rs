//! How calls get to a server: over a channel to one elsewhere, or straight into one of this
//! process, without the form of the wire in between.

use std::pin::Pin;
use std::sync::Arc;

use configapi_runtime::grpc::edge::EdgeLayer;
use configapi_runtime::trace::Span;
pub(super) use futures_util::future::Either;
use futures_util::{FutureExt as _, Stream, StreamExt as _, TryFutureExt as _};
use tonic::{Code, Request, Response, Status};

use super::Along;
use super::transport::begin_span;
use super::ways::Ways;

/// A call that is under way.
pub(super) type Calling<'a, T> =
    Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

/// An answer that is a stream.
pub(crate) type Frames<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

/// The way to one server: the generated client of its service, or the service itself.
pub(crate) enum Way<C, S: ?Sized> {
    Remote {
        calls: Ways<C>,
        /// Over connections of their own, whose streams may stand still without holding up the calls.
        streams: Ways<C>,
    },
    Local(Local<S>),
}

impl<C, S: ?Sized> Way<C, S> {
    /// Whether the server may go away without this process.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote { .. })
    }
}

/// A call over a channel. What it needs meanwhile is large, and kept apart from what all calls need.
pub(super) fn remote<R>(
    sending: impl Future<Output = Result<Response<R>, Status>> + Send + 'static,
) -> impl Future<Output = Result<R, Status>> + Send {
    sending.boxed().map_ok(Response::into_inner)
}

/// A service of this process. The edge gives its calls what a listener would.
pub(crate) struct Local<S: ?Sized> {
    service: Arc<S>,
    edge: EdgeLayer,
}

impl<S: ?Sized> Local<S> {
    pub fn new(service: Arc<S>, edge: EdgeLayer) -> Self {
        Self { service, edge }
    }

    /// Calls the method at this path.
    pub fn call<'a, T, R: 'a, M>(
        &'a self,
        path: &str,
        along: &Along,
        message: T,
        method: M,
    ) -> impl Future<Output = Result<R, Status>> + use<'a, S, T, R, M>
    where
        M: FnOnce(&'a S, Request<T>) -> Calling<'a, R>,
    {
        let mut request = along.request(message);
        let span = begin_span(path, request.metadata_mut().as_mut());
        let method = |request| method(&self.service, request);
        traced(span, self.edge.within(path, request, Some(along.until()), method))
    }

    /// Calls the method at this path, whose answer is a stream: it begins by the deadline, which does
    /// not end it.
    pub async fn open<T, M: 'static>(
        &self,
        path: &str,
        along: &Along,
        message: T,
        method: impl FnOnce(&S, Request<T>) -> Calling<'_, Frames<M>>,
    ) -> Result<Frames<M>, Status> {
        let mut request = along.request(message);
        let span = begin_span(path, request.metadata_mut().as_mut());
        let method = |request| method(&self.service, request);
        let opening = self.edge.stream_within(path, request, Some(along.until()), method);
        Ok(traced(span, opening).await?.boxed())
    }
}

/// Ends the span of a call, if traces are on, when its answer begins.
fn traced<R>(
    span: Option<Span>,
    calling: impl Future<Output = Result<Response<R>, Status>>,
) -> impl Future<Output = Result<R, Status>> {
    calling.map(|answer| {
        if let Some(span) = span {
            span.end_call(code_of(&answer), false);
        }
        answer.map(Response::into_inner)
    })
}

fn code_of<T>(answer: &Result<T, Status>) -> Code {
    answer.as_ref().err().map_or(Code::Ok, Status::code)
}
