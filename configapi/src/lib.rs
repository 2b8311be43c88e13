//! One binary for all: the servers in one process, the commands of a client, and the tools of an
//! operator. Client commands know the wire types and the runtime, and nothing else of the house.

mod arguments;
mod cli;
mod client;
mod commands;
mod failure;
mod operator;
mod output;
mod serve;
pub mod transfer;

pub use cli::{command, main};
