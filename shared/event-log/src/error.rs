//! What can go wrong between us and a store. A variant exists only if a caller acts on it.

use configapi_domain::Position;

/// Why the log could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The store cannot be reached, or refuses for now. Trying again may help.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store holds something that no version of this log may hold. Trying again cannot help.
    #[error("the log is corrupt at position {position}: {problem}")]
    Corrupt {
        /// Where.
        position: Position,
        /// What is wrong, without the row's content.
        problem: String,
    },
    /// The store is not what this program works with: no log in it, a newer schema, no grants.
    #[error("the store cannot be used: {0}")]
    Unusable(String),
}

/// Why a batch was not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody appended first. Nothing was written; read on, decide again.
    #[error("another writer appended first")]
    HeadMoved,
    /// The head that the batch was decided on is no longer in the log, or the log is in another
    /// epoch. Nothing was written; the lineage must be established anew.
    #[error("the head of the log is gone")]
    HeadGone,
    /// A request id of the batch is in the log already. Nothing was written.
    #[error("a request id is in the log already")]
    RequestIdTaken,
    /// The store refuses this batch, and would refuse it again. Nothing was written.
    #[error("the store refuses the batch: {0}")]
    Refused(String),
    /// The store cannot be reached. Nothing was written.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store may or may not have written the batch. Reading on from the head tells.
    #[error("it is not known whether the batch was written: {0}")]
    Unknown(String),
}
