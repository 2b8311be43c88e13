//! Lets nothing in whose caller has stopped waiting already.

use std::future::{Ready, ready};
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use configapi_proto::{ApiError, Reason};
use futures_util::future::Either;
use tower::{Layer, Service};

use super::Call;

/// Refuses calls whose deadline has passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Deadline<S> {
    inner: S,
}

impl<S, R> Service<Call<R>> for Deadline<S>
where
    S: Service<Call<R>, Error = ApiError>,
{
    type Response = S::Response;
    type Error = ApiError;
    type Future = Either<Ready<Result<S::Response, ApiError>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), ApiError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        if call.context.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Either::Left(ready(Err(Reason::DeadlineExceeded.into())));
        }
        Either::Right(self.inner.call(call))
    }
}
