//! The log in an SQLite file: the embedded store. One process writes, through one connection, beside
//! another that moves what is written into the file; any number of processes read. Nothing here knows
//! what an event means.

mod append;
mod fault;
mod file;
mod growth;
mod index;
mod key;
mod log;
mod look_up;
mod moving;
mod packed;
mod past;
mod place;
mod read;
mod recent;
mod rights;
mod row;
mod schema;
mod turn;
mod unindexed;

pub use log::SqliteLog;
