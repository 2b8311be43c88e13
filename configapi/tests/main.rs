//! The binary, driven as its users drive it, against real servers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test, with the place where it did"
)]

mod support;

mod apply;
mod auditing;
mod backing_up;
mod bulk;
mod damage;
mod documents;
mod epochs;
mod failures;
mod files;
mod forged;
mod forms;
mod healthchecks;
mod help;
mod histories;
mod kept_states;
mod operating;
mod outcomes;
mod output;
mod overworked;
mod reads;
mod restoring;
mod reverting;
mod rights;
mod settings;
mod strangers;
mod targets;
mod tracing;
mod transfer;
mod watching;
mod writes;
