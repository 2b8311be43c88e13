//! The contract as Rust: wire types and services generated from `proto/configapi/v1`, and by hand
//! what everybody who speaks it needs: reasons, errors, tokens and timestamps. No rule of the
//! domain lives here.

mod codec;
mod error;
mod foreign;
mod reason;
mod redacted;
mod time;
mod token;
pub mod v1;

pub use codec::ServerCodec;
pub use error::{ApiError, ERROR_DOMAIN, FieldViolation, PreconditionViolation, key};
pub use reason::{Reason, UnknownReason};
pub use time::{InvalidTimestamp, micros_from_timestamp, timestamp_from_micros};
pub use token::{InvalidToken, Token};

/// The contract in machine-readable form, comments included, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/configapi.v1.bin"));
