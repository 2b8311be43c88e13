//! The command server as its clients see it: over gRPC, on a log in memory, some of them faulty.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod ahead;
mod ahead_limits;
mod ambiguity;
mod apply;
mod clocks;
mod commands;
mod faulty_log;
mod faulty_look_ups;
mod faulty_turn;
mod groups;
mod health;
mod idempotency;
mod late;
mod memory;
mod overload;
mod restore;
mod set_many;
mod support;
mod tiny_frames;
mod together;
mod unreadable;
mod weights;
mod writers;
