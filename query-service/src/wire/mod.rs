//! What the projection holds, written in the form of the wire straight from where it lies: nothing
//! is copied into messages of the generated kind first. The messages that clients decode are those
//! of the contract, and the tests read them with its generated code.

mod answer;
mod fields;
mod messages;

pub use self::answer::Encoded;
pub(crate) use self::answer::{Answer, Items};
pub(crate) use self::fields::{Message, Sink};
pub(crate) use self::messages::{Config, DiffEntry, Event};

use crate::projection::Node;

/// More than all of a config or an event that is not text takes on the wire.
const FIXED_BYTES: usize = 200;
/// More than a read state takes on the wire, with the fields around it.
pub(crate) const STATE_BYTES: usize = 100;

/// An upper bound for the bytes of a [`Config`].
pub(crate) fn config_bytes(node: &Node, keys_only: bool) -> usize {
    let content = if keys_only { 0 } else { node.content().value.as_str().len() };
    FIXED_BYTES + texts_bytes(node) + content
}

/// An upper bound for the bytes of an [`Event`].
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
