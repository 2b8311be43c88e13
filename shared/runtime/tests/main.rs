//! The runtime seen from outside: real servers on port 0, real connections, real processes.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod arrivals;
mod bodies;
mod connections;
mod deadlines;
mod displaced;
mod drain;
mod edge;
mod failpoints;
mod health;
mod http;
mod leaving;
mod lifecycle;
mod lingering;
mod listen;
#[cfg(target_os = "linux")]
mod memory;
mod process;
mod protocol;
mod reflection;
mod settings;
mod support;
mod taken;
mod untaken;
mod variables;
mod within;
