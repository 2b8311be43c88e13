//! A row of the log, understood and ready to be applied. Made beside the task that applies, so
//! that a replay uses two cores.

use std::sync::Arc;

use configapi_domain::{ConfigEvent, Content, Value};
use configapi_event_log::{DecodeError, StoredEvent, Texts, decode_sharing};

use super::node::{Change, Node, Parts};
use super::packed::{PackedRequestId, PackedTrace};

/// An event that can be applied.
#[derive(Debug)]
pub struct Decoded {
    /// As it will be held, so that it need not be moved. Where it belongs is found out when it is applied.
    pub(super) node: Arc<Node>,
    /// What the event says about the value before it, to be checked against what is held.
    pub(super) old_value: Option<Value>,
}

impl Decoded {
    /// Understands a row, which shares texts with those before it.
    pub fn from_row(row: &StoredEvent, texts: &mut Texts) -> Result<Self, DecodeError> {
        let recorded = decode_sharing(row, texts)?;
        let (change, content, old_value) = take_apart(recorded.event);
        let provenance = recorded.provenance;
        let node = Node::alone(Parts {
            key: recorded.key,
            version: recorded.version,
            position: recorded.position,
            recorded_at: recorded.recorded_at,
            part: recorded.part,
            schema_version: row.schema_version,
            change,
            content,
            actor: provenance.actor,
            reason: provenance.reason,
            request_id: PackedRequestId::pack(provenance.request_id),
            traceparent: provenance.traceparent.as_ref().and_then(PackedTrace::pack),
            hash: recorded.hash,
        });
        Ok(Self { node: Arc::new(node), old_value })
    }
}

fn take_apart(event: ConfigEvent) -> (Change, Content, Option<Value>) {
    match event {
        ConfigEvent::Set { content, old_value } => (Change::Set, content, old_value),
        ConfigEvent::Deleted { deleted } => {
            let old_value = Some(deleted.value.clone());
            (Change::Deleted, deleted, old_value)
        }
        ConfigEvent::Restored { content, old_value, restored_version } => {
            (Change::Restored(restored_version), content, old_value)
        }
    }
}
