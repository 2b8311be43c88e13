//! The state after some position of the log: every config with all of its history, and every event
//! by position. Clones are cheap and never change.

use std::sync::Arc;

use configapi_domain::{Position, Timestamp};
use configapi_event_log::Hash;
use imbl::OrdMap;

use super::by_place::ByPlace;
use super::configs::Configs;
use super::digest;
use super::events::Events;
use super::history::History;
use super::node::Node;
use super::place::{Matching, Place, Step};

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
    events: Events,
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
            events: Events::new(),
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
        self.newest_of(self.history(Place { namespace, name })?)
    }

    /// The newest event of a config; none if the config came later.
    pub(super) fn newest_of(&self, history: &History) -> Option<&Arc<Node>> {
        self.later_too(history.newest())?.at_position(self.position())
    }

    /// The event at a position, one of a later state included.
    pub(super) fn later_too(&self, position: Position) -> Option<&Arc<Node>> {
        self.events.anywhere(index_of(position)?)
    }

    /// Asks for where the event at a position is found.
    pub(super) fn ask_for_place_of(&self, position: Position) {
        if let Some(index) = index_of(position) {
            self.events.ask_for(index);
        }
    }

    /// The way to the newest event of every config that matches, in the order of keys.
    pub(crate) fn matching<'a>(
        &'a self,
        namespace: Option<&'a str>,
        prefix: &'a str,
        after: Option<Place<'_>>,
    ) -> Matching<'a> {
        Matching::new(self, self.configs.in_order(), namespace, prefix, after)
    }

    /// The newest event of every config, in the order of keys.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.matching(None, "", None).filter_map(Step::matching)
    }

    /// The event at a position; none at 0 and beyond the end.
    pub fn event(&self, position: Position) -> Option<&Arc<Node>> {
        self.events.get(index_of(position)?)
    }

    /// The events after a position, in the order of the log.
    pub fn events_after(&self, position: Position) -> impl Iterator<Item = &Arc<Node>> {
        let first = usize::try_from(position.0).unwrap_or(usize::MAX);
        self.events.from(first)
    }

    /// The last position recorded at this time or before.
    pub fn position_at(&self, time: Timestamp) -> Position {
        let count = self.events.count_while(|node| node.recorded_at() <= time);
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

    /// All events of one config, later ones than this state's included.
    pub(super) fn history(&self, place: Place<'_>) -> Option<&Arc<History>> {
        self.configs.find(place)
    }

    /// The configs, by what they are found.
    pub(super) fn by_place(&self) -> &ByPlace {
        self.configs.by_place()
    }

    /// The configs, to add one that has its first event.
    pub(super) fn configs_mut(&mut self) -> &mut Configs {
        &mut self.configs
    }

    /// Counts an event that is known to be the next.
    pub(super) fn push(&mut self, node: Arc<Node>) {
        self.known += u64::from(node.previous().is_none());
        let was_live = node.previous().is_some_and(Node::is_live);
        match (was_live, node.is_live()) {
            (false, true) => self.came_to_life(node.key().namespace()),
            (true, false) => self.went(node.key().namespace()),
            (true, true) | (false, false) => {}
        }
        self.events.push(node);
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

/// Which of all events is at a position; none is at 0.
fn index_of(position: Position) -> Option<usize> {
    usize::try_from(position.0.checked_sub(1)?).ok()
}
