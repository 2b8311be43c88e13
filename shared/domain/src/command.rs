//! What somebody wants to happen to one config.

use crate::{ConfigKey, Content, Point, Position, Version};

/// One wish about one config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Which config.
    pub key: ConfigKey,
    /// The version that the stream must be at, if the caller minds; 0 = must not exist.
    pub expected_version: Option<Version>,
    /// What to do with it.
    pub action: Action,
}

/// What to do with a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Give it this content.
    Set(Content),
    /// Delete it.
    Delete,
    /// Bring it back, or roll it back.
    Restore(RestoreSource),
}

/// Where a Restore takes its value from. The past of a config is a fact, so it is looked up before
/// the decision; the decision itself stays a plain function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreSource {
    /// The value that a deleted config had last.
    LastValue,
    /// What the config was at the point that the caller named.
    Past(Past),
    /// The config was nothing at the point that the caller named.
    Nothing(Point),
    /// The position that the caller named has no meaning yet: the log ends before it.
    NotYet(Position),
}

/// What a config was at some point of its past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The version it was at.
    pub version: Version,
    /// Its content then; none if it was deleted then.
    pub content: Option<Content>,
}
