//! What one thread has seen: latencies in nanoseconds in an HDR histogram, and how often what went
//! wrong.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use crate::wire::CallError;

/// Three digits of every latency are kept.
const DIGITS: u8 = 3;
/// The longest latency told apart: nothing waits longer.
const LONGEST_NS: u64 = 120_000_000_000;

/// How many kinds of failures are told apart.
const KINDS: usize = 32;

/// What happened within the window.
#[derive(Debug)]
pub(super) struct Recording {
    pub latencies_ns: Histogram<u64>,
    /// Operations answered with success; one answer may stand for many.
    pub operations: u64,
    /// The same, with those of the warm-up.
    pub with_warm_up: u64,
    pub errors: u64,
    /// How many of them were which: a gRPC or HTTP status, or what went wrong instead.
    pub failures: BTreeMap<String, u64>,
    /// How long after it was sent a request was answered with an error.
    pub refusals_ns: Histogram<u64>,
    pub first_error: Option<String>,
    /// Requests that were not answered before the grace was over.
    pub unfinished: u64,
    /// Requests that were due and never sent.
    pub unsent: u64,
}

impl Recording {
    pub fn new() -> anyhow::Result<Self> {
        let latencies_ns = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)?;
        Ok(Self {
            refusals_ns: latencies_ns.clone(),
            latencies_ns,
            failures: BTreeMap::new(),
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

    /// A call that failed so long after it was sent.
    pub fn failure(&mut self, error: &CallError, after: Duration) {
        self.error(error);
        let kind = if let CallError::Status { code, .. } = error {
            let nanos = u64::try_from(after.as_nanos()).unwrap_or(LONGEST_NS);
            self.refusals_ns.saturating_record(nanos);
            code.to_string()
        } else {
            error.to_string()
        };
        if self.failures.len() < KINDS || self.failures.contains_key(&kind) {
            *self.failures.entry(kind).or_default() += 1;
        }
    }

    pub fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.latencies_ns.add(&other.latencies_ns)?;
        self.refusals_ns.add(&other.refusals_ns)?;
        for (kind, count) in other.failures {
            *self.failures.entry(kind).or_default() += count;
        }
        self.operations += other.operations;
        self.with_warm_up += other.with_warm_up;
        self.errors += other.errors;
        self.unfinished += other.unfinished;
        self.unsent += other.unsent;
        self.first_error = self.first_error.take().or(other.first_error);
        Ok(())
    }
}
