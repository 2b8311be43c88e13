//! Starts everything as real processes, breaks it in every way this machine allows while clients
//! go on, and judges what they saw. It knows the wire, the command line and the table of events,
//! nothing inside.

pub mod postgres_wire;
pub mod proxy;
