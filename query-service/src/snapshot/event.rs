//! One event in a snapshot. What follows from the events before it is left out: position, version,
//! the value before, and a value that its config had already.

use std::sync::Arc;

use configapi_domain::{
    Actor, Content, ContentType, ReasonText, RequestId, Timestamp, Value, Version,
};
use configapi_event_log::{CommandPart, Hash};

use super::SnapshotError;
use super::texts::{Input, Output, TextsIn, TextsOut};
use crate::projection::{Change, Node, PackedRequestId, PackedTrace, Parts, Restoring};

const CHANGE: u8 = 0b0000_0011;
const SET: u8 = 1;
const DELETED: u8 = 2;
const RESTORED: u8 = 3;

const CONTENT: u8 = 0b0000_1100;
const WRITTEN_OUT: u8 = 0b0000_0000;
const AS_BEFORE: u8 = 0b0000_0100;
const AS_RESTORED: u8 = 0b0000_1000;

const REQUEST_ID: u8 = 0b0011_0000;
const ABSENT: u8 = 0b0000_0000;
const UUID: u8 = 0b0001_0000;
const TEXT: u8 = 0b0010_0000;

const HAS_TRACE: u8 = 0b0100_0000;

const UNKNOWN: SnapshotError = SnapshotError::Damaged("an event has an unknown mark");
const UNPARSED: SnapshotError = SnapshotError::Damaged("a text is not what it has to be");
const NO_EVENT: SnapshotError = SnapshotError::Damaged("an event points to one that is not there");

/// Writes events, one after the other.
#[derive(Debug)]
pub(super) struct EventsOut {
    actors: TextsOut,
    reasons: TextsOut,
    content_types: TextsOut,
    before: Timestamp,
}

impl EventsOut {
    pub fn new(before: Timestamp) -> Self {
        Self {
            actors: TextsOut::default(),
            reasons: TextsOut::default(),
            content_types: TextsOut::default(),
            before,
        }
    }

    pub fn write(&mut self, key: u64, node: &Arc<Node>, to: &mut Output) {
        let parts = node.parts();
        let content = content_mark(node);
        let (change, restored) = match parts.change {
            Change::Set => (SET, None),
            Change::Deleted => (DELETED, None),
            Change::Restored(version) => (RESTORED, Some(version)),
        };
        let request_id = match &parts.request_id {
            PackedRequestId::Absent => ABSENT,
            PackedRequestId::Uuid(_) => UUID,
            PackedRequestId::Text(_) => TEXT,
        };
        let trace = if parts.traceparent.is_some() { HAS_TRACE } else { 0 };
        to.byte(change | content | request_id | trace);
        to.number(key);
        to.number(parts.recorded_at.0.abs_diff(self.before.0));
        self.before = parts.recorded_at;
        to.number(u64::from(parts.part.index));
        to.number(u64::from(parts.part.size));
        to.number(u64::from(parts.schema_version));
        if let Some(version) = restored {
            to.number(version.0);
        }
        if content == WRITTEN_OUT {
            to.text(parts.content.value.as_str());
            let kind = parts.content.content_type.as_ref().map_or("", |it| it.as_str());
            self.content_types.write(kind, to);
        }
        self.actors.write(parts.actor.as_str(), to);
        self.reasons.write(parts.reason.as_str(), to);
        match &parts.request_id {
            PackedRequestId::Absent => {}
            PackedRequestId::Uuid(bytes) => to.bytes(bytes),
            PackedRequestId::Text(id) => to.text(id.as_str()),
        }
        if let Some(trace) = &parts.traceparent {
            to.bytes(trace.as_bytes());
        }
        to.bytes(&parts.hash.0);
    }
}

/// How the content of an event is written.
fn content_mark(node: &Arc<Node>) -> u8 {
    let content = node.content();
    if node.previous().is_some_and(|before| before.content() == content) {
        return AS_BEFORE;
    }
    let restored = match node.change() {
        Change::Restored(version) => node.at_version(version),
        Change::Set | Change::Deleted => None,
    };
    match restored {
        Some(source) if source.content() == content => AS_RESTORED,
        _ => WRITTEN_OUT,
    }
}

/// Reads events, one after the other.
#[derive(Debug)]
pub(super) struct EventsIn {
    actors: TextsIn<Actor>,
    reasons: TextsIn<ReasonText>,
    content_types: TextsIn<Option<ContentType>>,
    before: Timestamp,
}

impl EventsIn {
    pub fn new(before: Timestamp) -> Self {
        Self {
            actors: TextsIn::default(),
            reasons: TextsIn::default(),
            content_types: TextsIn::default(),
            before,
        }
    }

    /// Reads the next event.
    pub fn read(&mut self, from: &mut Input<'_>) -> Result<Unlinked, SnapshotError> {
        let marks = from.byte()?;
        let key = from.size()?;
        self.before = later(self.before, from.number()?)?;
        let part = CommandPart { index: small(from.number()?)?, size: small(from.number()?)? };
        let schema_version = small(from.number()?)?;
        let change = match marks & CHANGE {
            SET => Change::Set,
            DELETED => Change::Deleted,
            RESTORED => Change::Restored(Version(from.number()?)),
            _ => return Err(UNKNOWN),
        };
        Ok(Unlinked {
            key,
            recorded_at: self.before,
            part,
            schema_version,
            change,
            content: self.content(marks, change, from)?,
            actor: self.actors.read(from, |text| Actor::parse(text).ok())?,
            reason: self.reasons.read(from, |text| ReasonText::parse(text).ok())?,
            request_id: match marks & REQUEST_ID {
                ABSENT => PackedRequestId::Absent,
                UUID => PackedRequestId::Uuid(from.array()?),
                TEXT => {
                    PackedRequestId::Text(RequestId::parse(from.text()?).map_err(|_| UNPARSED)?)
                }
                _ => return Err(UNKNOWN),
            },
            traceparent: match marks & HAS_TRACE {
                0 => None,
                _ => Some(PackedTrace::from_bytes(from.array()?)),
            },
            hash: Hash(from.array()?),
        })
    }

    fn content(
        &mut self,
        marks: u8,
        change: Change,
        from: &mut Input<'_>,
    ) -> Result<Known, SnapshotError> {
        match (marks & CONTENT, change) {
            (WRITTEN_OUT, _) => {
                let value = Value::parse(from.text()?).map_err(|_| UNPARSED)?;
                let parse = |text: &str| ContentType::parse(text).ok();
                let content_type = self.content_types.read(from, parse)?;
                Ok(Known::Here(Content { value, content_type }))
            }
            (AS_BEFORE, _) => Ok(Known::Before),
            (AS_RESTORED, Change::Restored(version)) => Ok(Known::At(version)),
            _ => Err(UNKNOWN),
        }
    }
}

/// An event as it is written, without what follows from the events before it.
#[derive(Debug)]
pub(super) struct Unlinked {
    /// The number of its config.
    pub key: usize,
    recorded_at: Timestamp,
    part: CommandPart,
    schema_version: u32,
    change: Change,
    content: Known,
    actor: Actor,
    reason: ReasonText,
    request_id: PackedRequestId,
    traceparent: Option<PackedTrace>,
    hash: Hash,
}

/// Where a content is known from.
#[derive(Debug)]
enum Known {
    Here(Content),
    /// From the event before.
    Before,
    /// From this version.
    At(Version),
}

impl Unlinked {
    /// Adds the event to those before it.
    pub fn link(self, to: &mut Restoring) -> Result<(), SnapshotError> {
        let key = to.key(self.key).ok_or(NO_EVENT)?.clone();
        let newest = to.newest(self.key);
        let content = match self.content {
            Known::Here(content) => content,
            Known::Before => newest.ok_or(NO_EVENT)?.content().clone(),
            Known::At(version) => {
                let restored = newest.and_then(|node| node.at_version(version));
                restored.ok_or(NO_EVENT)?.content().clone()
            }
        };
        let parts = Parts {
            key,
            version: newest.map_or(Version(1), |node| node.version().next()),
            position: to.next_position(),
            recorded_at: self.recorded_at,
            part: self.part,
            schema_version: self.schema_version,
            change: self.change,
            content,
            actor: self.actor,
            reason: self.reason,
            request_id: self.request_id,
            traceparent: self.traceparent,
            hash: self.hash,
        };
        if to.push(self.key, parts) { Ok(()) } else { Err(NO_EVENT) }
    }
}

fn later(before: Timestamp, micros: u64) -> Result<Timestamp, SnapshotError> {
    before.0.checked_add_unsigned(micros).map(Timestamp).ok_or(UNKNOWN)
}

fn small(number: u64) -> Result<u32, SnapshotError> {
    u32::try_from(number).map_err(|_| UNKNOWN)
}
