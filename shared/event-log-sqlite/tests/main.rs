//! The log in an SQLite file: the suite of properties, and what is this store's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod access;
mod durability;
mod faults;
mod immutability;
mod index;
#[cfg(target_os = "linux")]
mod memory;
mod namesakes;
mod recent;
mod replaced;
mod suite;
mod unindexed;
mod waiting;
mod writing;
