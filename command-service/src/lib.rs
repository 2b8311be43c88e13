//! The write server: decides commands and appends their events to the log. It knows configs only
//! one at a time; questions are the query server's.

mod bulk_seats;
mod bulk_share;
pub mod bus;
pub mod clock;
pub mod committer;
mod failpoints;
mod grpc;
pub mod handlers;
mod refusal;
mod service;
mod set_many;
mod settings;

pub use failpoints::FAILPOINTS;
pub use grpc::{CommandRpc, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES};
pub use service::CommandService;
pub use settings::{COMMAND_ADDR, CommandSettings};
