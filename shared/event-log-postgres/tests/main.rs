//! The adapter on real servers. `make test` provides one; without it these tests fail, loudly.

mod conformance;
mod harness;
