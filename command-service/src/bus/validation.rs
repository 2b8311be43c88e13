//! Where a wire request becomes a submission of domain values; past this, nothing is checked twice.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready as poll_ready};

use configapi_proto::ApiError;
use futures_util::future::Either;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Call, Handler};
use crate::committer::{Receipt, Submission};

/// Translates requests by a handler.
pub(super) struct ValidationLayer<H> {
    handler: PhantomData<fn() -> H>,
}

impl<H> ValidationLayer<H> {
    pub fn new() -> Self {
        Self { handler: PhantomData }
    }
}

impl<S, H> Layer<S> for ValidationLayer<H> {
    type Service = Validation<S, H>;

    fn layer(&self, inner: S) -> Validation<S, H> {
        Validation { inner, handler: PhantomData }
    }
}

pub(super) struct Validation<S, H> {
    inner: S,
    handler: PhantomData<fn() -> H>,
}

impl<S: Clone, H> Clone for Validation<S, H> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), handler: PhantomData }
    }
}

impl<S, H> fmt::Debug for Validation<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validation")
    }
}

impl<S, H> Service<Call<H::Request>> for Validation<S, H>
where
    H: Handler,
    S: Service<Call<Submission>, Response = Vec<Receipt>, Error = ApiError>,
{
    type Response = H::Response;
    type Error = ApiError;
    type Future = Either<Ready<Result<H::Response, ApiError>>, Answering<S::Future, H>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), ApiError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<H::Request>) -> Self::Future {
        match H::submission(call.request) {
            Err(error) => Either::Left(ready(Err(error))),
            Ok(request) => {
                let inner = self.inner.call(Call { request, context: call.context });
                Either::Right(Answering { inner, handler: PhantomData })
            }
        }
    }
}

pin_project! {
    /// Turns receipts into an answer.
    pub(super) struct Answering<F, H> {
        #[pin]
        inner: F,
        handler: PhantomData<fn() -> H>,
    }
}

impl<F, H> Future for Answering<F, H>
where
    H: Handler,
    F: Future<Output = Result<Vec<Receipt>, ApiError>>,
{
    type Output = Result<H::Response, ApiError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Poll::Ready(poll_ready!(self.project().inner.poll(cx)).map(H::response))
    }
}
