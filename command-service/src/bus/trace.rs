//! A span around each command, for whoever turns the log level up.

use std::task::{Context as TaskContext, Poll};

use tower::{Layer, Service};
use tracing::Instrument;
use tracing::instrument::Instrumented;

use super::Call;

/// Puts a span around a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct TraceLayer {
    command: &'static str,
}

impl TraceLayer {
    pub fn new(command: &'static str) -> Self {
        Self { command }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner, command: self.command }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Trace<S> {
    inner: S,
    command: &'static str,
}

impl<S, R> Service<Call<R>> for Trace<S>
where
    S: Service<Call<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let span = tracing::debug_span!(
            "command",
            command = self.command,
            request_id = &*call.context.call_id,
        );
        self.inner.call(call).instrument(span)
    }
}
