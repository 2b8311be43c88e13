//! Wire types as records to print. The names of fields are those of the contract.

use std::fmt::Write as _;

use configapi_proto::micros_from_timestamp;
use configapi_proto::v1::event::Change;
use configapi_proto::v1::{Config, Event, EventKind, ReadState, Receipt};
use prost_types::Timestamp;

use crate::failure::Failure;
use crate::output::Record;

/// The columns of configs.
pub const CONFIG_COLUMNS: &[&str] = &["name", "value", "version", "updated_at", "actor"];
/// The columns of configs of many namespaces.
pub const CONFIG_COLUMNS_ALL: &[&str] =
    &["namespace", "name", "value", "version", "updated_at", "actor"];
/// The columns of receipts.
pub const RECEIPT_COLUMNS: &[&str] =
    &["namespace", "name", "kind", "version", "token", "recorded_at", "request_id"];
/// The columns of events of one config.
pub const EVENT_COLUMNS: &[&str] =
    &["version", "event", "value", "recorded_at", "actor", "reason", "position"];
/// The main fields of an event.
pub const EVENT_RAW: &[&str] = &["position", "namespace", "name", "version", "event", "value"];

/// A config.
pub fn config(config: Config) -> Record {
    Record::new()
        .with("namespace", config.namespace)
        .with("name", config.name)
        .with("value", config.value)
        .text("content_type", config.content_type)
        .with("version", config.version)
        .with("position", config.position)
        .maybe("created_at", time(config.created_at.as_ref()))
        .maybe("updated_at", time(config.updated_at.as_ref()))
        .text("actor", config.actor)
        .text("reason", config.reason)
}

/// A config of an answer that was asked for keys only.
pub fn config_key(config: Config) -> Record {
    Record::new()
        .with("namespace", config.namespace)
        .with("name", config.name)
        .with("version", config.version)
        .with("position", config.position)
        .maybe("created_at", time(config.created_at.as_ref()))
        .maybe("updated_at", time(config.updated_at.as_ref()))
        .text("actor", config.actor)
        .text("reason", config.reason)
}

/// A receipt. One without a position is of a dry run.
pub fn receipt(receipt: Receipt) -> Record {
    let is_written = receipt.position > 0;
    let kind = match receipt.kind() {
        EventKind::Set => "ConfigValueSet",
        EventKind::Deleted => "ConfigValueDeleted",
        EventKind::Restored => "ConfigValueRestored",
        EventKind::Unspecified => "unknown",
    };
    Record::new()
        .with("namespace", receipt.namespace)
        .with("name", receipt.name)
        .with("kind", kind)
        .with("version", receipt.version)
        .maybe("position", is_written.then_some(receipt.position))
        .text("token", receipt.token)
        .maybe("recorded_at", time(receipt.recorded_at.as_ref()))
        .with("request_id", receipt.request_id)
        .maybe("hash", is_written.then(|| hex(&receipt.hash)))
}

/// An event; none if this version does not know what happened.
pub fn event(event: Event) -> Option<Record> {
    let (kind, value, old_value, deleted_value, content_type, restored_version) =
        match event.change? {
            Change::ValueSet(set) => {
                ("ConfigValueSet", Some(set.value), set.old_value, None, set.content_type, None)
            }
            Change::ValueDeleted(deleted) => (
                "ConfigValueDeleted",
                None,
                None,
                Some(deleted.deleted_value),
                deleted.content_type,
                None,
            ),
            Change::ValueRestored(restored) => (
                "ConfigValueRestored",
                Some(restored.value),
                restored.old_value,
                None,
                restored.content_type,
                Some(restored.restored_version),
            ),
        };
    let record = Record::new()
        .with("event", kind)
        .with("namespace", event.namespace)
        .with("name", event.name)
        .with("version", event.version)
        .with("position", event.position)
        .maybe("value", value)
        .maybe("old_value", old_value)
        .maybe("deleted_value", deleted_value)
        .maybe("restored_version", restored_version)
        .text("content_type", content_type)
        .maybe("recorded_at", time(event.recorded_at.as_ref()))
        .text("actor", event.actor)
        .text("reason", event.reason)
        .text("request_id", event.request_id)
        .text("traceparent", event.traceparent)
        .with("hash", hex(&event.hash))
        .with("last_of_command", event.last_of_command);
    Some(record)
}

/// The state that an answer is about.
pub fn state(state: &ReadState) -> Record {
    Record::new()
        .with("position", state.position)
        .with("epoch", state.epoch)
        .with("token", state.token.as_str())
        .maybe("recorded_at", time(state.recorded_at.as_ref()))
}

/// A time as RFC 3339, in UTC; none if there is none, or none that can be written so.
pub fn time(timestamp: Option<&Timestamp>) -> Option<String> {
    let micros = micros_from_timestamp(timestamp?).ok()?;
    jiff::Timestamp::from_microsecond(micros).ok().map(|time| format!("{time:.6}"))
}

/// Bytes as two digits each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An event that this version does not know. It is never skipped.
pub fn unknown_event() -> Failure {
    Failure::fault("the server sent an event that this version of configapi does not know")
        .with_hint("upgrade configapi")
}
