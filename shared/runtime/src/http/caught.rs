//! A handler that may panic: its panic is no answer, and nobody else's end.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

pin_project! {
    /// What a handler says; none if it panicked.
    #[derive(Debug)]
    pub struct Caught<F> {
        // None if it panicked before its future was there.
        #[pin]
        handling: Option<F>,
    }
}

impl<F> Caught<F> {
    /// The handler that this begins.
    pub fn begin(handler: impl FnOnce() -> F) -> Self {
        Self { handling: catch_unwind(AssertUnwindSafe(handler)).ok() }
    }
}

impl<F, T> Future for Caught<F>
where
    F: Future<Output = Result<T, Infallible>>,
{
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(handling) = self.project().handling.as_pin_mut() else {
            return Poll::Ready(None);
        };
        match catch_unwind(AssertUnwindSafe(|| handling.poll(context))) {
            Ok(polled) => match ready!(polled) {
                Ok(said) => Poll::Ready(Some(said)),
                Err(never) => match never {},
            },
            Err(_panic) => Poll::Ready(None),
        }
    }
}
