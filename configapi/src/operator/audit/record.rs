//! The form of an audit record: one line of JSON. Others parse it, so fields are only ever added.
//! Values are in it only if the operator asked for them; else their lengths are.

use configapi_event_log::domain::{ConfigEvent, Position, RequestId, TraceParent, Value};
use configapi_event_log::{Epoch, EpochStart, LogId, Recorded};
use serde::Serialize;

use super::super::store::written;

/// The version of the form.
const FORM: u32 = 1;
/// What the line of every record begins with.
pub const BEGINNING: &[u8] = b"{\"audit\":";

/// What happened to one config.
#[derive(Serialize)]
struct EventRecord<'a> {
    audit: u32,
    /// `epoch-position`: what a receiver knows a repeated record by.
    token: String,
    log_id: String,
    epoch: u64,
    position: u64,
    kind: &'static str,
    recorded_at: Option<String>,
    namespace: &'a str,
    name: &'a str,
    version: u64,
    actor: &'a str,
    reason: &'a str,
    request_id: Option<&'a str>,
    traceparent: Option<&'a str>,
    part: Part,
    old_value: Option<ValueRecord<'a>>,
    new_value: Option<ValueRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored_version: Option<u64>,
    hash: String,
}

/// Which part of its command an event is.
#[derive(Serialize)]
struct Part {
    index: u32,
    size: u32,
}

#[derive(Serialize)]
struct ValueRecord<'a> {
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

/// The log began a new epoch: what was told of positions from here on, in earlier epochs, is void.
#[derive(Serialize)]
struct EpochRecord {
    audit: u32,
    token: String,
    log_id: String,
    epoch: u64,
    kind: &'static str,
    first_position: u64,
    /// From here on, if that is lower: where the log lost its end was not where the epoch began, or is
    /// not known. What is not void comes again.
    #[serde(skip_serializing_if = "Option::is_none")]
    void_from: Option<u64>,
}

/// How records are written.
#[derive(Debug, Clone, Copy)]
pub struct Writing {
    pub log_id: LogId,
    pub include_values: bool,
}

impl Writing {
    /// Appends the line of an event, which was recorded in this epoch.
    pub fn event(self, recorded: &Recorded, epoch: Epoch, out: &mut Vec<u8>) {
        let (kind, old, new, restored_version) = match &recorded.event {
            ConfigEvent::Set { content, old_value } => {
                ("ConfigValueSet", old_value.as_ref(), Some(&content.value), None)
            }
            ConfigEvent::Deleted { deleted } => {
                ("ConfigValueDeleted", Some(&deleted.value), None, None)
            }
            ConfigEvent::Restored { content, old_value, restored_version } => (
                "ConfigValueRestored",
                old_value.as_ref(),
                Some(&content.value),
                Some(restored_version.0),
            ),
        };
        let provenance = &recorded.provenance;
        line(
            out,
            &EventRecord {
                audit: FORM,
                token: token(epoch, recorded.position),
                log_id: self.log_id.to_string(),
                epoch: epoch.0,
                position: recorded.position.0,
                kind,
                recorded_at: written(recorded.recorded_at),
                namespace: recorded.key.namespace(),
                name: recorded.key.name(),
                version: recorded.version.0,
                actor: provenance.actor.as_str(),
                reason: provenance.reason.as_str(),
                request_id: provenance.request_id.as_ref().map(RequestId::as_str),
                traceparent: provenance.traceparent.as_ref().map(TraceParent::as_str),
                part: Part { index: recorded.part.index, size: recorded.part.size },
                old_value: old.map(|value| self.value(value)),
                new_value: new.map(|value| self.value(value)),
                restored_version,
                hash: recorded.hash.to_string(),
            },
        );
    }

    /// Appends the line of an epoch's beginning, and from where on records come again, if they do.
    pub fn epoch(self, start: EpochStart, void_from: Option<Position>, out: &mut Vec<u8>) {
        line(
            out,
            &EpochRecord {
                audit: FORM,
                token: token(start.epoch, Position(start.first_position.0.saturating_sub(1))),
                log_id: self.log_id.to_string(),
                epoch: start.epoch.0,
                kind: "LogEpochBegan",
                first_position: start.first_position.0,
                void_from: void_from.map(|position| position.0),
            },
        );
    }

    fn value(self, value: &Value) -> ValueRecord<'_> {
        let text = value.as_str();
        ValueRecord { bytes: text.len(), text: self.include_values.then_some(text) }
    }
}

fn token(epoch: Epoch, position: Position) -> String {
    format!("{epoch}-{position}")
}

#[expect(clippy::expect_used, reason = "structs of texts and numbers always have a JSON form")]
fn line(out: &mut Vec<u8>, record: &impl Serialize) {
    serde_json::to_writer(&mut *out, record).expect("texts and numbers serialise");
    out.push(b'\n');
}
