//! The plumbing under every `ConfigApi` process: settings, telemetry, the life of a process,
//! servers and clients. Must never know what a config is.

mod answers;
mod arrivals;
mod budget;
mod calls;
pub mod clients;
pub mod connections;
mod drain;
mod due;
pub mod failpoints;
pub mod grpc;
pub mod http;
pub mod listen;
pub mod memory;
pub mod metrics;
mod outbox;
pub mod process;
pub mod request_id;
pub mod settings;
pub mod shutdown;
pub mod starting;
pub mod telemetry;
pub mod trace;
pub mod variables;
