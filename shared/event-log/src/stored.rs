//! The form in which an event lies in a store: plain columns, JSON texts and a hash. Every store
//! holds exactly this, so a log can move from one store to another without changing a byte.

use std::borrow::Cow;
use std::sync::Arc;

use configapi_domain::{Position, Timestamp, Version};

use crate::codec::EVENT_TYPES;
use crate::{CommandPart, Hash, LogId, seal};

/// The stream of the genesis row. No config's stream has this name: it has no `/`.
pub const GENESIS_STREAM: &str = "$genesis";
/// The type of the genesis row.
pub const GENESIS_EVENT_TYPE: &str = "LogStarted";

/// One row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Where in the log: dense, from 0 (genesis).
    pub position: Position,
    /// Where in its stream: dense, from 1.
    pub version: Version,
    /// When the writer recorded it; never decreases along the log.
    pub recorded_at: Timestamp,
    /// Which part of its command this event is.
    pub part: CommandPart,
    /// `namespace/name`.
    pub stream: Arc<str>,
    /// Such as `ConfigValueSet`.
    pub event_type: Cow<'static, str>,
    /// The version of the payload's form.
    pub schema_version: u32,
    /// The caller's request id, on the first event of a keyed command only: unique in the log.
    pub request_id: Option<Arc<str>>,
    /// JSON: what happened.
    pub payload: Arc<str>,
    /// JSON: who, why, under which ids.
    pub metadata: Arc<str>,
    /// `sha256(hash of the row before ‖ canonical bytes of this row)`.
    pub hash: Hash,
}

impl StoredEvent {
    /// About how many bytes this row weighs, for limits.
    pub fn weight_bytes(&self) -> usize {
        const FIXED_COLUMNS_BYTES: usize = 128;
        FIXED_COLUMNS_BYTES + self.stream.len() + self.payload.len() + self.metadata.len()
    }

    /// Whether this is the last event of its command.
    pub fn ends_command(&self) -> bool {
        self.part.is_last()
    }
}

/// The row at position 0, from which the chain hangs. It holds the log's id.
pub fn genesis(log_id: LogId, now: Timestamp) -> StoredEvent {
    let mut row = StoredEvent {
        position: Position::GENESIS,
        version: Version(1),
        recorded_at: now,
        part: CommandPart::WHOLE,
        stream: GENESIS_STREAM.into(),
        event_type: Cow::Borrowed(GENESIS_EVENT_TYPE),
        schema_version: 1,
        request_id: None,
        payload: format!(r#"{{"log_id":"{log_id}"}}"#).into(),
        metadata: "{}".into(),
        hash: Hash::ZERO,
    };
    seal(Hash::ZERO, &mut row);
    row
}

/// Whose log a genesis row begins. None if it is no genesis row, or not as it was written.
pub fn log_id_of(row: &StoredEvent) -> Option<LogId> {
    let id = row.payload.strip_prefix(r#"{"log_id":""#)?.strip_suffix(r#""}"#)?;
    let log_id = LogId(uuid::Uuid::try_parse(id).ok()?);
    (*row == genesis(log_id, row.recorded_at)).then_some(log_id)
}

/// The name of an event type as a row holds it. Known names are not allocated.
pub fn event_type_named(name: &str) -> Cow<'static, str> {
    match EVENT_TYPES.iter().find(|known| **known == name) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(name.to_owned()),
    }
}
