//! Receipts as they go over the wire.

use configapi_proto::{Token, timestamp_from_micros, v1};

use crate::committer::{EventKind, Receipt};

/// The wire form of a receipt.
pub(super) fn to_wire(receipt: &Receipt) -> v1::Receipt {
    let kind = match receipt.kind {
        EventKind::Set => v1::EventKind::Set,
        EventKind::Deleted => v1::EventKind::Deleted,
        EventKind::Restored => v1::EventKind::Restored,
    };
    let written = receipt.written;
    v1::Receipt {
        namespace: receipt.key.namespace().to_owned(),
        name: receipt.key.name().to_owned(),
        version: receipt.version.0,
        position: written.map_or(0, |written| written.position.0),
        token: token_of(receipt).map(|token| token.to_string()).unwrap_or_default(),
        recorded_at: written.map(|written| timestamp_from_micros(written.recorded_at.0)),
        kind: kind.into(),
        request_id: receipt.request_id.as_deref().unwrap_or_default().to_owned(),
        hash: written.map(|written| written.hash.0.to_vec()).unwrap_or_default(),
    }
}

/// The token of what was written; none if nothing was.
pub fn token_of(receipt: &Receipt) -> Option<Token> {
    receipt.written.map(|written| Token { epoch: written.epoch.0, position: written.position.0 })
}
