//! Tests of the event log's own parts, and of the log in memory against the conformance suite.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod asking;
mod batch;
mod chain;
mod codec;
mod golden;
mod lineage;
mod memory;
mod page;
mod recorded;
mod rows;
mod stored;
mod tail;
