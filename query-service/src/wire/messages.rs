//! The messages of the contract that come from the projection. The numbers are those of the fields
//! in `proto/configapi/v1`.

use configapi_domain::Timestamp;
use configapi_proto::{timestamp_from_micros, v1};

use super::fields::{Message, Sink};
use crate::projection::{Change, Node};

/// A config as it was after this event.
pub(crate) struct Config<'a> {
    pub node: &'a Node,
    /// Leave out what it contains.
    pub keys_only: bool,
}

impl Message for Config<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let node = self.node;
        out.text(1, node.key().namespace());
        out.text(2, node.key().name());
        if !self.keys_only {
            out.text(3, node.content().value.as_str());
            out.text(4, content_type(node));
        }
        out.number(5, node.version().0);
        out.number(6, node.position().0);
        out.message(7, &node.created_at());
        out.message(8, &node.recorded_at());
        out.text(9, node.actor());
        out.text(10, node.reason());
    }
}

impl Config<'_> {
    /// The same as a message of the generated kind.
    pub fn message(&self) -> v1::Config {
        let Self { node, keys_only } = self;
        let content = |text: &str| if *keys_only { String::new() } else { text.to_owned() };
        v1::Config {
            namespace: node.key().namespace().to_owned(),
            name: node.key().name().to_owned(),
            value: content(node.content().value.as_str()),
            content_type: content(content_type(node)),
            version: node.version().0,
            position: node.position().0,
            created_at: Some(timestamp_from_micros(node.created_at().0)),
            updated_at: Some(timestamp_from_micros(node.recorded_at().0)),
            actor: node.actor().to_owned(),
            reason: node.reason().to_owned(),
        }
    }
}

/// An event.
pub(crate) struct Event<'a>(pub &'a Node);

impl Message for Event<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let Self(node) = self;
        out.number(1, node.position().0);
        out.number(2, node.version().0);
        out.text(3, node.key().namespace());
        out.text(4, node.key().name());
        out.message(5, &node.recorded_at());
        out.text(6, node.actor());
        out.text(7, node.reason());
        node.with_request_id(|id| out.text(8, id));
        node.with_traceparent(|trace| out.text(9, trace));
        out.bytes(10, &node.hash().0);
        out.number(11, u64::from(node.schema_version()));
        out.number(12, u64::from(node.ends_command()));
        let field = match node.change() {
            Change::Set => 13,
            Change::Deleted => 14,
            Change::Restored(_) => 15,
        };
        out.message(field, &What(node));
    }
}

/// What happened in an event: one of three messages that are much alike.
struct What<'a>(&'a Node);

impl Message for What<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let Self(node) = self;
        out.text(1, node.content().value.as_str());
        match node.change() {
            Change::Deleted => out.text(2, content_type(node)),
            Change::Set | Change::Restored(_) => {
                if let Some(old) = node.old_value() {
                    out.present_bytes(2, old.as_str().as_bytes());
                }
                out.text(3, content_type(node));
            }
        }
        if let Change::Restored(version) = node.change() {
            out.number(4, version.0);
        }
    }
}

/// How one config differs between two moments.
pub(crate) struct DiffEntry<'a> {
    pub newest: &'a Node,
    pub kind: v1::DiffKind,
    pub from: Option<&'a Node>,
    pub to: Option<&'a Node>,
}

impl Message for DiffEntry<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.text(1, self.newest.key().namespace());
        out.text(2, self.newest.key().name());
        out.number(3, u64::from(self.kind as u32));
        for (field, node) in [(4, self.from), (5, self.to)] {
            if let Some(node) = node {
                out.message(field, &Config { node, keys_only: false });
            }
        }
    }
}

impl Message for v1::ReadState {
    const LENGTH_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        out.number(1, self.position);
        out.number(2, self.epoch);
        out.text(3, &self.token);
        if let Some(at) = &self.recorded_at {
            out.message(4, at);
        }
    }
}

impl Message for Timestamp {
    const LENGTH_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        timestamp_from_micros(self.0).write(out);
    }
}

impl Message for prost_types::Timestamp {
    const LENGTH_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        // Negative numbers are written as the contract's language says: in 64 bits.
        out.number(1, self.seconds.cast_unsigned());
        out.number(2, i64::from(self.nanos).cast_unsigned());
    }
}

fn content_type(node: &Node) -> &str {
    node.content().content_type.as_ref().map_or("", |it| it.as_str())
}
