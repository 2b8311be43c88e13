//! How fast this house is, measured so that anyone can repeat it: a load generator, an echo server as
//! the ceiling, etcd as the peer, and a suite that runs them side by side. It knows the wire and
//! nothing else, and must never be fast by measuring less than an application would see.

pub mod cli;
pub mod echo;
mod etcd;
pub mod keys;
pub mod load;
pub mod report;
pub mod suite;
pub mod wire;
pub mod workload;
