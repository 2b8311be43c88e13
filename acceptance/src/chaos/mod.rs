//! Starts everything as real processes, breaks it in every way this machine allows while clients
//! go on, and judges what they saw. It knows the wire, the command line and the table of events,
//! nothing inside.

mod assembly;
mod blindness;
mod channel;
mod clock_steps;
pub mod cluster;
mod command_client;
mod cuts;
mod deck;
mod failpoints;
mod false_clock;
mod fleet;
mod full_disk;
mod load;
mod nemesis;
mod overload;
mod ports;
pub mod postgres_wire;
mod power;
pub mod proxy;
mod query_client;
mod readers;
mod recorder;
mod recovery;
mod report;
mod run;
mod scenario;
mod stored_log;
mod syncs;
mod watchers;
mod writers;

use channel::channel;

pub use report::{Report, Verdict};
pub use run::{Plan, run};
pub use scenario::{SCENARIOS, Scenario};
