//! An event as the rest of the house sees it: domain values, with where and when it was recorded.

use std::fmt;

use configapi_domain::{
    ConfigEvent, ConfigKey, Position, Provenance, RequestId, Timestamp, Version,
};

use crate::{Hash, MAX_EVENTS_PER_COMMAND};

/// An event that is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Where in the log.
    pub position: Position,
    /// Where in its stream.
    pub version: Version,
    /// When.
    pub recorded_at: Timestamp,
    /// Which config.
    pub key: ConfigKey,
    /// What happened.
    pub event: ConfigEvent,
    /// Who asked, why, under which ids.
    pub provenance: Provenance,
    /// The caller's request, if it was keyed. On every event of the command.
    pub request: Option<RequestKey>,
    /// Which part of its command this event is.
    pub part: CommandPart,
    /// The row's hash.
    pub hash: Hash,
}

/// What identifies a keyed request: its id, and what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// The caller's id.
    pub id: RequestId,
    /// A digest of what was asked, to tell a repeat from another request under the same id.
    pub fingerprint: Fingerprint,
}

/// A digest of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Fingerprint {
    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|number| Self(number.to_be_bytes()))
    }
}

/// Which part of its command an event is: an Apply leads to many events, all else to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandPart {
    /// 0, 1, 2…
    pub index: u32,
    /// How many events the command led to.
    pub size: u32,
}

impl CommandPart {
    /// The only event of its command.
    pub const WHOLE: Self = Self { index: 0, size: 1 };

    /// Whether no other event of the command follows.
    pub fn is_last(self) -> bool {
        self.index.saturating_add(1) >= self.size
    }

    /// Whether an event that is this part may follow the one that is `previous`: as the next one of the
    /// same command, or as the first of another, of a size that a command may have.
    pub fn follows(self, previous: Self) -> bool {
        let next = if previous.is_last() {
            Self { index: 0, size: self.size }
        } else {
            Self { index: previous.index.saturating_add(1), size: previous.size }
        };
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        self == next && (1..=MAX_EVENTS_PER_COMMAND).contains(&size)
    }
}
