//! Counts commands and measures how long they take; refusals by reason.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Instant;

use configapi_proto::{ApiError, Reason};
use pin_project_lite::pin_project;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tower::{Layer, Service};

use super::Call;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabel {
    command: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabel {
    command: &'static str,
    reason: &'static str,
}

/// Handles to the bus's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BusMetrics {
    seconds: Family<CommandLabel, Histogram>,
    refused: Family<RefusalLabel, Counter>,
}

impl BusMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let seconds = Family::<CommandLabel, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.000_1, 2.0, 16))
        });
        let refused = Family::default();
        registry.register(
            "configapi_command_seconds",
            "Time that accepted commands took, from the bus to the answer",
            seconds.clone(),
        );
        registry.register(
            "configapi_command_refused",
            "Commands that were refused, by reason",
            refused.clone(),
        );
        Self { seconds, refused }
    }
}

/// Measures a command.
#[derive(Debug, Clone)]
pub(super) struct MetricsLayer {
    meter: Arc<Meter>,
}

#[derive(Debug)]
struct Meter {
    command: &'static str,
    seconds: Histogram,
    refused: Family<RefusalLabel, Counter>,
}

impl MetricsLayer {
    pub fn new(command: &'static str, metrics: &BusMetrics) -> Self {
        let seconds = metrics.seconds.get_or_create(&CommandLabel { command }).clone();
        // A counter that is not there before its first count hides that count from rates.
        for reason in Reason::ALL.map(Reason::as_str) {
            let _ = metrics.refused.get_or_create(&RefusalLabel { command, reason });
        }
        Self { meter: Arc::new(Meter { command, seconds, refused: metrics.refused.clone() }) }
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured { inner, meter: Arc::clone(&self.meter) }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Measured<S> {
    inner: S,
    meter: Arc<Meter>,
}

impl<S, R> Service<Call<R>> for Measured<S>
where
    S: Service<Call<R>, Error = ApiError>,
{
    type Response = S::Response;
    type Error = ApiError;
    type Future = MeasuredFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), ApiError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        MeasuredFuture {
            inner: self.inner.call(call),
            meter: Arc::clone(&self.meter),
            began: Instant::now(),
        }
    }
}

pin_project! {
    #[derive(Debug)]
    pub(super) struct MeasuredFuture<F> {
        #[pin]
        inner: F,
        meter: Arc<Meter>,
        began: Instant,
    }
}

impl<F, T> Future for MeasuredFuture<F>
where
    F: Future<Output = Result<T, ApiError>>,
{
    type Output = Result<T, ApiError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = ready!(this.inner.poll(cx));
        match &outcome {
            Ok(_) => this.meter.seconds.observe(this.began.elapsed().as_secs_f64()),
            Err(error) => {
                let label =
                    RefusalLabel { command: this.meter.command, reason: error.reason.as_str() };
                this.meter.refused.get_or_create(&label).inc();
            }
        }
        Poll::Ready(outcome)
    }
}
