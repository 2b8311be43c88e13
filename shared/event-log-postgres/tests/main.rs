//! The adapter on real servers. `make test` provides one; without it these tests fail, loudly.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking, and what is left out is said aloud"
)]

mod ahead;
mod cluster;
mod conformance;
mod copying;
mod defaults;
mod faults;
mod harness;
mod hints;
mod immutable;
mod left_behind;
mod listening;
mod mutant;
mod parted;
mod places;
mod pooler;
mod process;
mod races;
mod roles;
mod silence;
mod slow_link;
mod standby;
mod writing;
