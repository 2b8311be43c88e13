//! The rules of the domain: given what happened, when somebody asks, then this happens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod delete;
mod expected_version;
mod histories;
mod keys;
mod measures;
mod provenance;
mod restore;
mod scenario;
mod set;
mod values;
