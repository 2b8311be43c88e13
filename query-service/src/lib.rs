//! The read server: follows the log, holds all configs with all of their history in memory, and
//! answers every question about them from one state of the log. It never writes to the log.

mod board;
mod core;
mod freshness;
mod limits;
mod metrics;
pub mod projection;
mod queries;
mod service;
mod settings;
pub mod snapshot;
mod start;
mod tailer;
mod view;
mod watch;
mod wire;

pub use limits::Limits;
pub use service::QueryRpcService;
pub use settings::Settings;
pub use start::{QueryService, RunError, run};
