//! One look at the log behind a cursor: what matches, as much as fits into a frame. A frame ends
//! with the end of a command, unless one command alone is too large for a frame.

use std::sync::Arc;

use configapi_domain::{ConfigKey, Position};

use crate::limits::Limits;
use crate::projection::{Node, Place, State};
use crate::queries::Selection;
use crate::wire::{self, Items};

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Everything up to here was looked at.
    pub seen: Position,
    /// The last place up to which nothing is torn: where a watch can be resumed.
    pub safe: Position,
}

impl Cursor {
    /// After a position.
    pub fn after(position: Position) -> Self {
        Self { seen: position, safe: position }
    }
}

/// What matched.
#[derive(Debug)]
pub(super) struct Scan {
    pub events: Items,
    pub cursor: Cursor,
}

/// Looks at the events after the cursor.
pub(super) fn scan(state: &State, from: Cursor, selection: &Selection, limits: &Limits) -> Scan {
    let mut events = Items::default();
    let mut bytes = 0;
    let mut cursor = from;
    let mut whole_events = events.mark();
    for (visits, node) in state.events_after(from.seen).enumerate() {
        if visits >= limits.frame_visits && cursor.seen == cursor.safe {
            break;
        }
        if selection.matches(node.key()) {
            bytes += wire::event_bytes(node);
            let is_full = events.count() >= limits.frame_items || bytes > limits.frame_bytes;
            if is_full && whole_events.count > 0 {
                events.truncate(whole_events);
                cursor.seen = cursor.safe;
                break;
            }
            if is_full && events.count() > 0 {
                break;
            }
            events.push(&wire::Event(node));
        }
        cursor.seen = node.position();
        if node.ends_command() {
            cursor.safe = cursor.seen;
            whole_events = events.mark();
        }
    }
    Scan { events, cursor }
}

/// A part of the initial state.
#[derive(Debug)]
pub(super) struct InitialPart {
    pub configs: Items,
    /// Where to go on; none if this was the last part.
    pub after: Option<ConfigKey>,
}

/// Looks at the configs after a key, as they were at a position that the state holds.
pub(super) fn initial(
    state: &State,
    at: Position,
    after: Option<&ConfigKey>,
    selection: &Selection,
    limits: &Limits,
) -> InitialPart {
    if let Some(key) = selection.key() {
        let mut configs = Items::default();
        if let Some(node) = live_at(state.newest(key.namespace(), key.name()), at) {
            configs.push(&wire::Config { node, keys_only: false });
        }
        return InitialPart { configs, after: None };
    }
    let mut configs = Items::default();
    let mut bytes = 0;
    let mut last = None;
    let (namespace, prefix) = (selection.namespace(), selection.name_prefix());
    let matching = state.matching(namespace, prefix, after.map(Place::of));
    for (visits, step) in matching.enumerate() {
        if visits >= limits.frame_visits {
            return InitialPart { configs, after: last };
        }
        if let Some(node) = live_at(step.matching(), at) {
            bytes += wire::config_bytes(node, false);
            let is_full = configs.count() >= limits.frame_items || bytes > limits.frame_bytes;
            if is_full && configs.count() > 0 {
                return InitialPart { configs, after: last };
            }
            configs.push(&wire::Config { node, keys_only: false });
        }
        last = Some(step.key().clone());
    }
    InitialPart { configs, after: None }
}

/// The event that made a config what it was at a position, if it existed then.
fn live_at(newest: Option<&Arc<Node>>, at: Position) -> Option<&Arc<Node>> {
    newest?.at_position(at).filter(|node| node.is_live())
}
