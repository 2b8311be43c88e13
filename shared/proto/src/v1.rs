//! The generated wire types and services of `configapi.v1`. Nothing is written here by hand.

#![expect(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code follows its generator's style"
)]

include!(concat!(env!("OUT_DIR"), "/configapi.v1.rs"));
include!(concat!(env!("OUT_DIR"), "/server/configapi.v1.rs"));
