//! The tools of an operator, which work on a store itself and not through the servers. They read
//! beside running servers; only what says so writes.

pub mod audit;
pub mod backup;
pub mod begin_epoch;
pub mod migrate;
pub mod restore_backup;
pub mod snapshot;
mod store;
pub mod verify;
