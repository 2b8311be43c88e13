//! The state after some position of the log: every config with all of its history, and every event
//! by position. Clones are cheap and never change.

use std::sync::Arc;

use configapi_domain::{Position, Timestamp};
use configapi_event_log::Hash;
use imbl::{OrdMap, Vector};

use super::configs::Configs;
use super::digest;
use super::node::Node;
use super::place::{Matching, Place};

/// A row of the log that a state stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Where.
    pub position: Position,
    /// The row's hash.
    pub hash: Hash,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// How much a state holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Configs that exist.
    pub live: u64,
    /// Configs that are deleted.
    pub deleted: u64,
    /// Versions of all configs together.
    pub versions: u64,
    /// Namespaces with at least one config that exists.
    pub namespaces: u64,
}

/// All that the log says up to one position.
#[derive(Debug, Clone)]
pub struct State {
    genesis: Anchor,
    configs: Configs,
    /// The event at position 1 comes first.
    events: Vector<Arc<Node>>,
    known: u64,
    live: u64,
    live_by_namespace: OrdMap<Arc<str>, u64>,
}

impl State {
    /// The state before the first event of a log with this genesis row.
    pub fn empty(genesis: Anchor) -> Self {
        Self {
            genesis,
            configs: Configs::default(),
            events: Vector::new(),
            known: 0,
            live: 0,
            live_by_namespace: OrdMap::new(),
        }
    }

    /// The row before the first event.
    pub fn genesis(&self) -> Anchor {
        self.genesis
    }

    /// The last row that the state holds.
    pub fn anchor(&self) -> Anchor {
        match self.events.last() {
            Some(node) => Anchor {
                position: node.position(),
                hash: node.hash(),
                recorded_at: node.recorded_at(),
            },
            None => self.genesis,
        }
    }

    /// The last position that the state holds.
    pub fn position(&self) -> Position {
        Position(self.events.len() as u64)
    }

    /// Whether the state ends with the last event of a command.
    pub fn ends_command(&self) -> bool {
        self.events.last().is_none_or(|node| node.ends_command())
    }

    /// How much it holds.
    pub fn counts(&self) -> Counts {
        Counts {
            live: self.live,
            deleted: self.known - self.live,
            versions: self.events.len() as u64,
            namespaces: self.live_by_namespace.len() as u64,
        }
    }

    /// The newest event of one config.
    pub fn newest(&self, namespace: &str, name: &str) -> Option<&Arc<Node>> {
        self.configs.newest(Place { namespace, name })
    }

    /// The newest event of every config that matches, in the order of keys.
    pub(crate) fn matching<'a>(
        &'a self,
        namespace: Option<&'a str>,
        prefix: &'a str,
        after: Option<Place<'_>>,
    ) -> Matching<'a> {
        self.configs.matching(namespace, prefix, after)
    }

    /// The newest event of every config, in the order of keys.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.configs.all()
    }

    /// The event at a position; none at 0 and beyond the end.
    pub fn event(&self, position: Position) -> Option<&Arc<Node>> {
        let index = position.0.checked_sub(1)?;
        self.events.get(usize::try_from(index).ok()?)
    }

    /// The events after a position, in the order of the log.
    pub fn events_after(&self, position: Position) -> impl Iterator<Item = &Arc<Node>> {
        let first = usize::try_from(position.0).unwrap_or(usize::MAX).min(self.events.len());
        self.events.focus().narrow(first..self.events.len()).into_iter()
    }

    /// The last position recorded at this time or before.
    pub fn position_at(&self, time: Timestamp) -> Position {
        let later = |node: &Arc<Node>| {
            if node.recorded_at() <= time {
                std::cmp::Ordering::Less
            } else {
                std::cmp::Ordering::Greater
            }
        };
        // Never `Equal`, so this is the number of events that are not later.
        let (Ok(count) | Err(count)) = self.events.binary_search_by(later);
        Position(count as u64)
    }

    /// When the row at a position was recorded.
    pub fn recorded_at(&self, position: Position) -> Timestamp {
        self.event(position).map_or(self.genesis.recorded_at, |node| node.recorded_at())
    }

    /// A digest of all that the state holds, 32 bytes.
    pub fn digest(&self) -> [u8; 32] {
        digest::of(self)
    }

    /// Holds this as the newest event of its config.
    pub(super) fn insert(&mut self, newest: Arc<Node>) {
        self.configs.insert(newest);
    }

    /// Counts an event that is known to be the next.
    pub(super) fn push(&mut self, node: &Arc<Node>) {
        self.known += u64::from(node.previous().is_none());
        let was_live = node.previous().is_some_and(Node::is_live);
        match (was_live, node.is_live()) {
            (false, true) => self.came_to_life(node.key().namespace()),
            (true, false) => self.went(node.key().namespace()),
            (true, true) | (false, false) => {}
        }
        self.events.push_back(Arc::clone(node));
    }

    fn came_to_life(&mut self, namespace: &str) {
        self.live += 1;
        match self.live_by_namespace.get_mut(namespace) {
            Some(count) => *count += 1,
            None => {
                self.live_by_namespace.insert(namespace.into(), 1);
            }
        }
    }

    fn went(&mut self, namespace: &str) {
        self.live -= 1;
        if let Some(count) = self.live_by_namespace.get_mut(namespace) {
            *count -= 1;
            if *count == 0 {
                self.live_by_namespace.remove(namespace);
            }
        }
    }
}
