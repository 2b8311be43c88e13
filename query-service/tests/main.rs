//! The read server from outside: what it answers, whatever the log, its callers and the disk do.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy's allowance for tests does not reach the helpers of a test binary"
)]

mod answers;
mod broken_logs;
mod foreign_bytes;
mod freshness;
mod held_states;
#[cfg(target_os = "linux")]
mod large_pages;
mod left_behind;
mod linearizable_reads;
mod long_chains;
mod oracle;
mod over_the_wire;
mod paging;
mod replaced_logs;
mod slow_stores;
mod snapshots;
mod support;
mod unlawful_logs;
mod watch_ends;
mod watch_fleet;
mod watch_marks;
mod watch_since;
mod watching;
