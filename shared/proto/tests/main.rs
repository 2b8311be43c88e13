//! What everybody who speaks the contract relies on, through the public interface only.

mod codec;
mod contract;
mod errors;
mod foreign_statuses;
mod reasons;
mod timestamps;
mod tokens;
