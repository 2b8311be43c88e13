//! The contract as Rust: wire types and services generated from `proto/configapi/v1`, and by hand
//! what everybody who speaks it needs: reasons, errors, tokens and timestamps. No rule of the domain
//! lives here.

pub mod v1;

/// The contract in machine-readable form, comments included, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/configapi.v1.bin"));
