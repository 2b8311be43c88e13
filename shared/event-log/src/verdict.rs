//! What one who reads a log finds of it, for one who writes it in the same process.

use std::sync::Arc;

/// What a reader of the log says of it. A reader may know what a writer that has just started does
/// not: what the log held before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has not been compared yet with what is known of it.
    Open,
    /// There is nothing against it.
    Sound,
    /// It is not what it was, or not what a log may be; why, and what can be done.
    Refused(Arc<str>),
}
