//! The benchmarks under test: that they measure what they say, and admit what they could not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod honesty;
mod keys;
mod report;
mod servers;
mod workloads;
