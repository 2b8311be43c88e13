//! The read server: follows the log, holds all configs with all of their history in memory, and
//! answers every question about them from one state of the log. It never writes to the log.

mod board;
mod clock;
mod core;
mod failpoints;
mod freshness;
mod grpc;
mod limits;
mod metrics;
pub mod projection;
mod queries;
mod service;
mod settings;
pub mod snapshot;
mod tailer;
mod view;
mod watch;
mod wire;
mod within;

pub use failpoints::FAILPOINTS;
pub use grpc::QueryRpc;
pub use grpc::generated::query_service_server::QueryServiceServer;
pub use limits::Limits;
pub use service::{MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, QueryService, SnapshotDirError};
pub use settings::{QUERY_ADDR, QuerySettings};
pub use within::QueriesWithin;
