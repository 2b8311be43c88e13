//! The benchmarks under test: that they measure what they say, and admit what they could not.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod honesty;
mod keys;
mod report;
mod servers;
mod workloads;
