//! The plumbing under every `ConfigApi` process: settings, telemetry, the life of a process,
//! servers and clients. Must never know what a config is.

pub mod clients;
pub mod connections;
pub mod failpoints;
pub mod grpc;
pub mod http;
mod last_in_turn;
pub mod metrics;
pub mod request_id;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod trace;
