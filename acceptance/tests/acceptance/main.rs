//! The whole system, as its users start it and talk to it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod full_disk;
mod lifecycle;
mod monitoring;
mod own_writes;
mod probes;
mod surfaces;
mod tour;
mod units;
