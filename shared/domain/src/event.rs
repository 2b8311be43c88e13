//! What happened to one config. Past tense, immutable.

use crate::{Content, Value, Version};

/// One thing that happened to one config. Each event holds enough to know the config's state after
/// it without any event before it, so a config can be rebuilt from its last event alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigEvent {
    /// The config got a value.
    Set {
        /// What it got.
        content: Content,
        /// What it had before; none if it did not exist.
        old_value: Option<Value>,
    },
    /// The config was deleted.
    Deleted {
        /// What it had last.
        deleted: Content,
    },
    /// The config was brought back from deletion, or rolled back.
    Restored {
        /// What it has again.
        content: Content,
        /// What it had just before; none if it was deleted.
        old_value: Option<Value>,
        /// The version whose value this is.
        restored_version: Version,
    },
}

impl ConfigEvent {
    /// The content of the config after this event; none after a delete.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Set { content, .. } | Self::Restored { content, .. } => Some(content),
            Self::Deleted { .. } => None,
        }
    }
}
