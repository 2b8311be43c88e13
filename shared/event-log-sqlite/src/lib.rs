//! The log in an SQLite file: the embedded store. One process writes, through one connection; any
//! number of processes read. Nothing here knows what an event means.

mod append;
mod fault;
mod file;
mod growth;
mod index;
mod log;
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
