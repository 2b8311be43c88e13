//! The rules that a command can break. Each variant is something that a caller acts on.

use crate::{Point, Position, Version};

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// Delete or Restore of a config that never existed.
    #[error("the config never existed")]
    NotFound,
    /// Delete of a config that is deleted already.
    #[error("the config is deleted already, since version {version}")]
    AlreadyDeleted {
        /// The version of the delete.
        version: Version,
    },
    /// Set on a deleted config.
    #[error("the config was deleted at version {version}; bring it back with Restore")]
    Deleted {
        /// The version of the delete.
        version: Version,
    },
    /// The stream is not at the version that the caller expected.
    #[error("expected version {expected}, the config is at version {actual}")]
    VersionConflict {
        /// What the caller expected.
        expected: Version,
        /// What it is.
        actual: Version,
    },
    /// There is nothing that the Restore could bring back.
    #[error("{0}")]
    RestoreRefused(RestoreRefusal),
}

/// Why a Restore was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreRefusal {
    /// A live config needs to be told what to go back to.
    #[error("the config is not deleted; name the version, time or position to roll back to")]
    NotDeleted,
    /// The config was deleted at the point named.
    #[error(
        "the config was deleted there, at version {version}; name a version, time or position at \
         which it has a value"
    )]
    WasDelete {
        /// The version of that delete.
        version: Version,
    },
    /// The config did not exist at the point named.
    #[error("the config had no value at {0}")]
    Nothing(Point),
    /// The log ends before the position named, so that nobody knows what the config will be there.
    #[error("position {0} is not in the log yet")]
    NotYet(Position),
}
