//! The write server.
pub mod clock;
pub mod committer;
