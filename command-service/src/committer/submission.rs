//! What goes into the committer and what comes out.

use std::sync::Arc;
use std::time::Instant;

use configapi_domain::{
    BrokenRule, ConfigEvent, ConfigKey, Content, Point, Position, Provenance, Timestamp, Version,
};
use configapi_event_log::{Epoch, Hash, LogId, Recorded, RequestKey};

/// One request: its commands happen together or not at all.
#[derive(Debug, Clone)]
pub struct Submission {
    /// What to do, in order. Later wishes see what earlier ones did.
    pub wishes: Vec<Wish>,
    /// Who asks, why, under which ids.
    pub provenance: Provenance,
    /// The caller's request id and what it stands for, if the request is keyed.
    pub request: Option<RequestKey>,
    /// Check everything, write nothing.
    pub validate_only: bool,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// One wish about one config, before its past was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Which config.
    pub key: ConfigKey,
    /// The version that it must be at, if the caller minds.
    pub expected_version: Option<Version>,
    /// What to do with it.
    pub action: WishedAction,
}

/// What to do with a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WishedAction {
    /// Give it this content.
    Set(Content),
    /// Delete it.
    Delete,
    /// Restore it to what it was at a point, or to its last value.
    Restore(Option<Point>),
}

impl Submission {
    /// About how many bytes it holds in the queue.
    pub fn weight_bytes(&self) -> usize {
        const FIXED_BYTES: usize = 256;
        self.wishes.iter().map(Wish::weight_bytes).sum::<usize>() + FIXED_BYTES
    }
}

impl Wish {
    fn weight_bytes(&self) -> usize {
        const FIXED_BYTES: usize = 128;
        let content = match &self.action {
            WishedAction::Set(content) => content.value.as_str().len(),
            WishedAction::Delete | WishedAction::Restore(_) => 0,
        };
        FIXED_BYTES + self.key.stream().len() + content
    }
}

/// What a command did to one config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which config.
    pub key: ConfigKey,
    /// Its version now.
    pub version: Version,
    /// What happened to it.
    pub kind: EventKind,
    /// The request's id.
    pub request_id: Option<Arc<str>>,
    /// Where it is in the log; none if nothing was to be written.
    pub written: Option<Written>,
}

/// Where an event is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The epoch it was written in.
    pub epoch: Epoch,
    /// Its position.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Its hash.
    pub hash: Hash,
}

/// What kind of event a command led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A value was set.
    Set,
    /// The config was deleted.
    Deleted,
    /// A value was restored.
    Restored,
}

impl EventKind {
    /// The kind of an event.
    pub fn of(event: &ConfigEvent) -> Self {
        match event {
            ConfigEvent::Set { .. } => Self::Set,
            ConfigEvent::Deleted { .. } => Self::Deleted,
            ConfigEvent::Restored { .. } => Self::Restored,
        }
    }
}

impl Receipt {
    /// The receipt of an event that is in the log.
    pub fn of(recorded: &Recorded, epoch: Epoch) -> Self {
        Self {
            key: recorded.key.clone(),
            version: recorded.version,
            kind: EventKind::of(&recorded.event),
            request_id: recorded.provenance.request_id.as_ref().map(|id| id.as_str().into()),
            written: Some(Written {
                epoch,
                position: recorded.position,
                recorded_at: recorded.recorded_at,
                hash: recorded.hash,
            }),
        }
    }
}

/// Why a submission did not happen. Nothing of it was written, but for [`Refusal::OutcomeUnknown`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A command breaks a rule.
    #[error("{rule}")]
    Rule {
        /// Which of the submission's wishes.
        index: usize,
        /// The config it is about.
        key: ConfigKey,
        /// The rule.
        rule: BrokenRule,
    },
    /// The request id belongs to another command.
    #[error("the request id was used for a different command")]
    RequestIdReused,
    /// The queue is full.
    #[error("the command queue is full")]
    QueueFull,
    /// The events would not fit into one commit.
    #[error("the events would weigh {bytes} bytes, {limit_bytes} are allowed; split the request")]
    TooLarge {
        /// What they weigh.
        bytes: usize,
        /// What is allowed.
        limit_bytes: usize,
    },
    /// The caller's deadline passed before anything was sent to the log.
    #[error("the deadline passed before the command was sent to the log")]
    DeadlineExceeded,
    /// The store may or may not have written it.
    #[error("it is not known whether the command was written")]
    OutcomeUnknown,
    /// The store cannot be reached.
    #[error("the log cannot be written: {0}")]
    Unavailable(String),
    /// One who reads the log in this process has yet to say whether it is sound.
    #[error("the log has not been compared yet with what is known of it")]
    NotCompared,
    /// The log lost what this server knows of it, and no new epoch was begun.
    #[error("the log was restored or lost its tail under this server")]
    LogChanged,
    /// The log lost what this server knows of it, was written on, and only then an epoch began.
    #[error(
        "the log lost what this server knows of it and was written on, and epoch {epoch}, which began at \
         {first_position}, is too late to say so"
    )]
    ToldTooLate {
        /// The first one that began.
        epoch: Epoch,
        /// Where it did.
        first_position: Position,
    },
    /// The log is not the one that this server wrote.
    #[error("the store holds log {found}, and this server has written log {known}")]
    AnotherLog {
        /// The one that this server wrote.
        known: LogId,
        /// The one that there is now.
        found: LogId,
    },
    /// One who reads the log in this process refuses it.
    #[error("{0}")]
    LogRefused(Arc<str>),
    /// The store refuses this very submission, or the log is broken.
    #[error("the command cannot be recorded: {0}")]
    Broken(String),
}
