//! The write server: decides commands and appends their events to the log. It knows configs only
//! one at a time; questions are the query server's.

pub mod bus;
pub mod clock;
pub mod committer;
pub mod handlers;
mod refusal;
