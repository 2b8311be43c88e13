//! The gateway from outside: real servers behind it, real HTTP before it.

mod apply;
mod bodies;
mod conditional;
mod contract;
mod cors;
mod description;
mod freshness;
mod health;
mod limits;
mod names;
mod paging;
mod problems;
mod support;
mod time_travel;
mod upstreams;
mod watch;
