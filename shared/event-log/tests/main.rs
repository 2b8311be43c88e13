//! Tests of the event log's own parts, and of the log in memory against the conformance suite.

mod memory;
