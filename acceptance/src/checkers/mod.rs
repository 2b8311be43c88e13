//! What must be true of everything that clients saw and of the log that was left behind.

pub mod linearizability;
