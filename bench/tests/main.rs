//! The benchmarks under test: that they measure what they say, and admit what they could not.

mod honesty;
mod keys;
mod report;
mod servers;
mod workloads;
