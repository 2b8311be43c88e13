//! Refuses at once what cannot be taken on, instead of letting it wait for nothing. One bound for
//! all commands together.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use configapi_proto::{ApiError, Reason};
use futures_util::future::Either;
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use super::Call;

/// Bounds how many commands are under way at once.
#[derive(Debug, Clone)]
pub(super) struct ShedLayer {
    in_flight: Arc<Semaphore>,
}

impl ShedLayer {
    pub fn new(in_flight_max: usize) -> Self {
        Self { in_flight: Arc::new(Semaphore::new(in_flight_max)) }
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Shed<S> {
        Shed { inner, in_flight: Arc::clone(&self.in_flight) }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Shed<S> {
    inner: S,
    in_flight: Arc<Semaphore>,
}

impl<S, R> Service<Call<R>> for Shed<S>
where
    S: Service<Call<R>, Error = ApiError>,
{
    type Response = S::Response;
    type Error = ApiError;
    type Future = Either<Ready<Result<S::Response, ApiError>>, Admitted<S::Future>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), ApiError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let Ok(permit) = Arc::clone(&self.in_flight).try_acquire_owned() else {
            let full = "the server takes no more commands at the moment";
            return Either::Left(ready(Err(ApiError::new(Reason::LimitExceeded, full))));
        };
        Either::Right(Admitted { inner: self.inner.call(call), permit })
    }
}

pin_project! {
    /// A command that was let in; gives its place back when it ends or is dropped.
    #[derive(Debug)]
    pub(super) struct Admitted<F> {
        #[pin]
        inner: F,
        permit: OwnedSemaphorePermit,
    }
}

impl<F: Future> Future for Admitted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        self.project().inner.poll(cx)
    }
}
