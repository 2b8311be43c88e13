//! The harness's own tools under test: what breaks others must itself be sound.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod ambiguous_commit;
mod postgres_wire;
mod proxy;
