//! What the projection holds, in the form of the wire, and about how large it is there.

use configapi_proto::{timestamp_from_micros, v1};

use crate::projection::{Change, Node};

/// More than all of a config or an event that is not text takes on the wire.
const FIXED_BYTES: usize = 200;

/// A config as it was after this event; `keys_only` leaves its content out.
pub(crate) fn config(node: &Node, keys_only: bool) -> v1::Config {
    let (value, content_type) = if keys_only {
        (String::new(), String::new())
    } else {
        (node.content().value.as_str().to_owned(), content_type(node))
    };
    v1::Config {
        namespace: node.key().namespace().to_owned(),
        name: node.key().name().to_owned(),
        value,
        content_type,
        version: node.version().0,
        position: node.position().0,
        created_at: Some(timestamp_from_micros(node.created_at().0)),
        updated_at: Some(timestamp_from_micros(node.recorded_at().0)),
        actor: node.actor().to_owned(),
        reason: node.reason().to_owned(),
    }
}

/// An upper bound for the bytes of [`config`].
pub(crate) fn config_bytes(node: &Node, keys_only: bool) -> usize {
    let content = if keys_only { 0 } else { node.content().value.as_str().len() };
    FIXED_BYTES + texts_bytes(node) + content
}

/// An event.
pub(crate) fn event(node: &Node) -> v1::Event {
    v1::Event {
        position: node.position().0,
        version: node.version().0,
        namespace: node.key().namespace().to_owned(),
        name: node.key().name().to_owned(),
        recorded_at: Some(timestamp_from_micros(node.recorded_at().0)),
        actor: node.actor().to_owned(),
        reason: node.reason().to_owned(),
        request_id: node.request_id(),
        traceparent: node.traceparent(),
        hash: node.hash().0.to_vec(),
        schema_version: node.schema_version(),
        last_of_command: node.ends_command(),
        change: Some(change(node)),
    }
}

/// An upper bound for the bytes of [`event`].
pub(crate) fn event_bytes(node: &Node) -> usize {
    // Request ids and trace contexts have at most 128 and 55 bytes, hashes 32.
    const IDS_BYTES: usize = 250;
    let old_value = node.old_value().map_or(0, |old| old.as_str().len());
    FIXED_BYTES + IDS_BYTES + texts_bytes(node) + node.content().value.as_str().len() + old_value
}

fn texts_bytes(node: &Node) -> usize {
    let content_type = node.content().content_type.as_ref().map_or(0, |it| it.as_str().len());
    node.key().stream().len() + node.actor().len() + node.reason().len() + content_type
}

fn content_type(node: &Node) -> String {
    node.content().content_type.as_ref().map(|it| it.as_str().to_owned()).unwrap_or_default()
}

fn change(node: &Node) -> v1::event::Change {
    let value = node.content().value.as_str().to_owned();
    let content_type = content_type(node);
    let old_value = || node.old_value().map(|old| old.as_str().to_owned());
    match node.change() {
        Change::Set => v1::event::Change::ValueSet(v1::ConfigValueSet {
            value,
            old_value: old_value(),
            content_type,
        }),
        Change::Deleted => v1::event::Change::ValueDeleted(v1::ConfigValueDeleted {
            deleted_value: value,
            content_type,
        }),
        Change::Restored(version) => v1::event::Change::ValueRestored(v1::ConfigValueRestored {
            value,
            old_value: old_value(),
            content_type,
            restored_version: version.0,
        }),
    }
}
