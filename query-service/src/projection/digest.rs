//! A digest of all that a state holds, in one canonical order, so that it does not matter how the
//! state came about: replayed, read from a snapshot, or followed live.

use sha2::{Digest, Sha256};

use super::node::{Change, Node};
use super::state::State;

/// What is hashed changes with this number, so that two programs do not disagree unawares.
const FORM: &[u8] = b"configapi state 1";

/// The digest: first the counts, then every event by position, then every config by key with the
/// position of its newest event.
pub(super) fn of(state: &State) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(FORM);
    let anchor = state.anchor();
    let counts = state.counts();
    hasher.update(anchor.hash.0);
    for number in
        [anchor.position.0, counts.live, counts.deleted, counts.versions, counts.namespaces]
    {
        hasher.update(number.to_be_bytes());
    }
    for node in state.events_after(configapi_domain::Position::GENESIS) {
        event(&mut hasher, node);
    }
    for node in state.all() {
        text(&mut hasher, node.key().stream());
        hasher.update(node.position().0.to_be_bytes());
    }
    hasher.finalize().into()
}

fn event(hasher: &mut Sha256, node: &Node) {
    let (change, restored) = match node.change() {
        Change::Set => (1_u8, 0),
        Change::Deleted => (2, 0),
        Change::Restored(version) => (3, version.0),
    };
    let part = node.part();
    let previous = node.previous().map_or(0, |before| before.position().0);
    let mut numbers = [0_u8; 61];
    numbers[..8].copy_from_slice(&node.position().0.to_be_bytes());
    numbers[8..16].copy_from_slice(&node.version().0.to_be_bytes());
    numbers[16..24].copy_from_slice(&node.recorded_at().0.to_be_bytes());
    numbers[24..32].copy_from_slice(&node.created_at().0.to_be_bytes());
    numbers[32..40].copy_from_slice(&previous.to_be_bytes());
    numbers[40..48].copy_from_slice(&restored.to_be_bytes());
    numbers[48..52].copy_from_slice(&part.index.to_be_bytes());
    numbers[52..56].copy_from_slice(&part.size.to_be_bytes());
    numbers[56..60].copy_from_slice(&node.schema_version().to_be_bytes());
    numbers[60] = change;
    hasher.update(numbers);
    hasher.update(node.hash().0);
    text(hasher, node.key().stream());
    text(hasher, node.content().value.as_str());
    text(hasher, node.content().content_type.as_ref().map_or("", |kind| kind.as_str()));
    text(hasher, node.actor());
    text(hasher, node.reason());
    node.with_request_id(|id| text(hasher, id));
    node.with_traceparent(|trace| text(hasher, trace));
}

fn text(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text.as_bytes());
}
