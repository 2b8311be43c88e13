//! What one thread has seen: latencies in nanoseconds in an HDR histogram, and how often what went
//! wrong.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Three digits of every latency are kept.
const DIGITS: u8 = 3;
/// The longest latency told apart: nothing waits longer.
const LONGEST_NS: u64 = 120_000_000_000;

/// What happened within the window.
#[derive(Debug)]
pub(super) struct Recording {
    pub latencies_ns: Histogram<u64>,
    /// Operations answered with success; one answer may stand for many.
    pub operations: u64,
    /// The same, with those of the warm-up.
    pub with_warm_up: u64,
    pub errors: u64,
    pub first_error: Option<String>,
    /// Requests that were not answered before the grace was over.
    pub unfinished: u64,
    /// Requests that were due but could not even wait in the queue.
    pub unsent: u64,
}

impl Recording {
    pub fn new() -> anyhow::Result<Self> {
        let latencies_ns = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)?;
        Ok(Self {
            latencies_ns,
            operations: 0,
            with_warm_up: 0,
            errors: 0,
            first_error: None,
            unfinished: 0,
            unsent: 0,
        })
    }

    pub fn success(&mut self, operations: u64, latency: Duration) {
        self.operations += operations;
        self.latency(latency);
    }

    pub fn latency(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NS);
        self.latencies_ns.saturating_record(nanos);
    }

    pub fn error(&mut self, error: &dyn std::error::Error) {
        self.errors += 1;
        if self.first_error.is_none() {
            self.first_error = Some(error.to_string());
        }
    }

    pub fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.latencies_ns.add(&other.latencies_ns)?;
        self.operations += other.operations;
        self.with_warm_up += other.with_warm_up;
        self.errors += other.errors;
        self.unfinished += other.unfinished;
        self.unsent += other.unsent;
        self.first_error = self.first_error.take().or(other.first_error);
        Ok(())
    }
}
