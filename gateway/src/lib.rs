//! The REST config API for curl and for old clients: a thin edge over the two gRPC services. It
//! knows the contract and HTTP, and never a rule of the domain.

mod accepts;
mod advice;
mod answers;
mod app;
mod asked;
mod body;
mod conditional;
mod cors;
mod docs;
mod edge;
mod existing;
mod freshness;
mod gateway;
mod health;
mod hosts;
mod json;
mod moment;
mod openapi;
mod paging;
mod problem;
mod query;
mod reads;
mod routes;
mod settings;
mod sse;
mod starting;
mod target;
mod upstream;
mod words;
mod writes;

pub use gateway::Gateway;
pub use settings::{
    GATEWAY_ADDR, GatewayLimits, GatewaySettings, HostName, Origin, UpstreamSettings,
};
pub use starting::starting;
pub use upstream::{Ready, Upstreams};
