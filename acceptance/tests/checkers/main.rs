//! The checkers under test: they must agree with verdicts that others reached, accept what a
//! correct system does, and see every bug that is planted. Nothing here starts a process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod bugs;
mod jepsen;
mod linearizability;
mod mutants;
mod simulated_log;
mod simulated_replica;
mod simulated_watch;
mod simulator;
