//! What keeps the house in order and no compiler checks: which way dependencies point, that every
//! file says what it is for, that files stay small, documents stay true, and a release is
//! compiled as it should be.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod dependencies;
mod documents;
mod files;
mod release;
mod settings;
mod tree;
