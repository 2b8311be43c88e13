//! One look at the log behind a cursor: what matches, as much as fits into a frame. A frame ends
//! with the end of a command, unless one command alone is too large for a frame.

use configapi_domain::{ConfigKey, Position};
use configapi_proto::v1;

use crate::limits::Limits;
use crate::projection::{Place, State};
use crate::queries::Selection;
use crate::wire;

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
    pub events: Vec<v1::Event>,
    pub cursor: Cursor,
}

/// Looks at the events after the cursor.
pub(super) fn scan(state: &State, from: Cursor, selection: &Selection, limits: &Limits) -> Scan {
    let mut events = Vec::new();
    let mut bytes = 0;
    let mut cursor = from;
    let mut whole_events = 0;
    for (visits, node) in state.events_after(from.seen).enumerate() {
        if visits >= limits.frame_visits && cursor.seen == cursor.safe {
            break;
        }
        if selection.matches(node.key()) {
            bytes += wire::event_bytes(node);
            let is_full = events.len() >= limits.frame_items || bytes > limits.frame_bytes;
            if is_full && whole_events > 0 {
                events.truncate(whole_events);
                cursor.seen = cursor.safe;
                break;
            }
            if is_full && !events.is_empty() {
                break;
            }
            events.push(wire::event(node));
        }
        cursor.seen = node.position();
        if node.ends_command() {
            cursor.safe = cursor.seen;
            whole_events = events.len();
        }
    }
    Scan { events, cursor }
}

/// A part of the initial state.
#[derive(Debug)]
pub(super) struct InitialPart {
    pub configs: Vec<v1::Config>,
    /// Where to go on; none if this was the last part.
    pub after: Option<ConfigKey>,
}

/// Looks at the configs after a key.
pub(super) fn initial(
    state: &State,
    after: Option<&ConfigKey>,
    selection: &Selection,
    limits: &Limits,
) -> InitialPart {
    if let Some(key) = selection.key() {
        let newest = state.newest(key.namespace(), key.name()).filter(|node| node.is_live());
        let configs = newest.map(|node| wire::config(node, false)).into_iter().collect();
        return InitialPart { configs, after: None };
    }
    let mut configs = Vec::new();
    let mut bytes = 0;
    let mut last = None;
    let (namespace, prefix) = (selection.namespace(), selection.name_prefix());
    let matching = state.matching(namespace, prefix, after.map(Place::of));
    for (visits, node) in matching.enumerate() {
        if visits >= limits.frame_visits {
            return InitialPart { configs, after: last };
        }
        if node.is_live() {
            bytes += wire::config_bytes(node, false);
            let is_full = configs.len() >= limits.frame_items || bytes > limits.frame_bytes;
            if is_full && !configs.is_empty() {
                return InitialPart { configs, after: last };
            }
            configs.push(wire::config(node, false));
        }
        last = Some(node.key().clone());
    }
    InitialPart { configs, after: None }
}
