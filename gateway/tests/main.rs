//! The gateway from outside: real servers behind it, real HTTP before it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "the harness fails a test by panicking, outside of test functions too"
)]

mod apply;
mod bodies;
mod conditional;
mod contract;
mod cors;
mod description;
mod epochs;
mod event_sources;
mod foreign_bodies;
mod freshness;
mod health;
mod hosts;
mod limits;
mod misplaced;
mod names;
mod paging;
mod problems;
mod slow_servers;
mod support;
mod time_travel;
mod upstreams;
mod watch;
mod watched_applies;
mod words;
