//! What came of a load, in the form in which it is printed, one line of JSON each.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{Spec, recording::Recording};
use crate::workload::Workload;

/// What came of one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was asked for.
    pub workload: Workload,
    /// How many connections.
    pub connections: usize,
    /// How many requests were in flight on each.
    pub in_flight: usize,
    /// On how many threads of the client.
    pub threads: usize,
    /// How many requests per second were due; none in a closed loop.
    pub rate_per_second: Option<f64>,
    /// How long was measured.
    pub window_seconds: f64,
    /// Operations that succeeded: requests, or events where one request writes many.
    pub operations: u64,
    /// The same, with those of the warm-up: what the whole load's CPU time was spent on.
    pub operations_with_warm_up: u64,
    /// The same per second.
    pub per_second: f64,
    /// Requests answered with an error.
    pub errors: u64,
    /// How many of these errors were which: a gRPC or HTTP status, or what went wrong instead.
    #[serde(default)]
    pub failures: BTreeMap<String, u64>,
    /// How long after they were sent requests were answered with an error; none without errors.
    #[serde(default)]
    pub refusal_latency_us: Option<Latency>,
    /// The first of these errors.
    pub first_error: Option<String>,
    /// Requests sent and not answered in time, though the load waited for them for some seconds more.
    pub unfinished: u64,
    /// Requests that were due and never sent: the client's own queue was full, or the time over.
    pub unsent: u64,
    /// How long requests took. In an open loop from when they were due, so that a server that
    /// stalls is charged for all who would have come meanwhile.
    pub latency_us: Latency,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Latency {
    fn of(nanos: &Histogram<u64>) -> Self {
        let at = |quantile| micros(float(nanos.value_at_quantile(quantile)));
        Self {
            min: micros(float(nanos.min())),
            mean: micros(nanos.mean()),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: micros(float(nanos.max())),
        }
    }
}

impl Outcome {
    pub(super) fn of(spec: &Spec, recording: &Recording) -> Self {
        let window_seconds = spec.window.as_secs_f64();
        Self {
            workload: spec.workload,
            connections: spec.connections,
            in_flight: spec.in_flight,
            threads: spec.threads,
            rate_per_second: spec.rate_per_second,
            window_seconds,
            operations: recording.operations,
            operations_with_warm_up: recording.with_warm_up,
            per_second: rounded(float(recording.operations) / window_seconds, 1),
            errors: recording.errors,
            failures: recording.failures.clone(),
            refusal_latency_us: (!recording.refusals_ns.is_empty())
                .then(|| Latency::of(&recording.refusals_ns)),
            first_error: recording.first_error.clone(),
            unfinished: recording.unfinished,
            unsent: recording.unsent,
            latency_us: Latency::of(&recording.latencies_ns),
        }
    }

    /// Whether all that was asked was answered with success, and something was asked at all.
    pub fn is_sound(&self) -> bool {
        self.operations > 0 && self.errors == 0 && self.unfinished == 0 && self.unsent == 0
    }
}

fn micros(nanos: f64) -> f64 {
    rounded(nanos / 1e3, 1)
}

fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}

#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds here stay below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
