//! One event as the projection holds it. The events of a config form a list from the newest to the
//! oldest that is appended to in constant time and searched in logarithmic time: each node knows
//! the one before it and one further back, chosen as in Myers' applicative random-access stack.

use std::fmt;
use std::sync::Arc;

use configapi_domain::{
    Actor, ConfigKey, Content, Position, ReasonText, Timestamp, Value, Version,
};
use configapi_event_log::{CommandPart, Hash};

use super::near::{ask_for, ask_for_text};
use super::packed::{PackedRequestId, PackedTrace};

/// What happened to a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It got a value.
    Set,
    /// It was deleted.
    Deleted,
    /// It was brought back, or rolled back, to what it was at this version.
    Restored(Version),
}

/// What one event says, without its place in the list.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub key: ConfigKey,
    pub version: Version,
    pub position: Position,
    pub recorded_at: Timestamp,
    pub part: CommandPart,
    pub schema_version: u32,
    pub change: Change,
    /// What the config has after the event; for a delete, what it had before.
    pub content: Content,
    pub actor: Actor,
    pub reason: ReasonText,
    pub request_id: PackedRequestId,
    pub traceparent: Option<PackedTrace>,
    pub hash: Hash,
}

/// One event of one config, with all events of that config before it.
#[derive(Clone)]
pub struct Node {
    parts: Parts,
    created_at: Timestamp,
    previous: Option<Arc<Node>>,
    jump: Option<Arc<Node>>,
}

impl Node {
    /// The event that these parts tell, with none before it.
    pub(crate) fn alone(parts: Parts) -> Self {
        Self { created_at: parts.recorded_at, parts, previous: None, jump: None }
    }

    /// Takes its place after the events that `previous` stands for.
    pub(super) fn come_after(&mut self, previous: Arc<Self>) {
        let jump = match previous.jump_pair() {
            Some((near, far)) if previous.distance(near) == near.distance(far) => far,
            _ => &previous,
        };
        self.created_at = previous.created_at;
        self.jump = Some(Arc::clone(jump));
        self.previous = Some(previous);
    }

    /// Holds nothing twice that is held already by the newest event of the same config.
    pub(super) fn share_with(&mut self, newest: &Arc<Self>) {
        self.parts.key = newest.key().clone();
        let known = match self.parts.change {
            Change::Set | Change::Deleted => Some(newest),
            Change::Restored(version) => newest.at_version(version),
        };
        if let Some(known) = known.filter(|known| *known.content() == self.parts.content) {
            self.parts.content = known.content().clone();
        }
    }

    /// Asks for the lines of memory that it lies in, which may be far.
    pub(crate) fn ask_for(&self) {
        ask_for(&self.parts.change);
        ask_for(&self.parts.actor);
        ask_for(&self.parts.version);
        ask_for(&self.created_at);
    }

    /// Asks for its value, which may be far when the event itself is near.
    pub(crate) fn ask_for_value(&self) {
        ask_for_text(self.content().value.as_str());
    }

    /// Asks for the event that it jumps back to.
    pub(super) fn ask_for_jump(&self) {
        if let Some(jump) = &self.jump {
            ask_for(&jump.parts.version);
            ask_for(&jump.jump);
        }
    }

    /// Asks for the second event back by jumps. The first must be near.
    pub(super) fn ask_for_second_jump(&self) {
        if let Some((_, far)) = self.jump_pair() {
            ask_for(&far.parts.version);
        }
    }

    fn jump_pair(&self) -> Option<(&Self, &Arc<Self>)> {
        let near = self.jump.as_deref()?;
        Some((near, near.jump.as_ref()?))
    }

    fn distance(&self, ancestor: &Self) -> u64 {
        self.parts.version.0 - ancestor.parts.version.0
    }

    /// The newest event, from this one back, that a condition holds for. The condition must hold
    /// for all events before one that it holds for.
    fn newest_where(self: &Arc<Self>, holds: impl Fn(&Self) -> bool) -> Option<&Arc<Self>> {
        let mut node = self;
        while !holds(node) {
            node = match &node.jump {
                Some(jump) if !holds(jump) => jump,
                _ => node.previous.as_ref()?,
            };
        }
        Some(node)
    }

    /// The event that the config stood at after this position of the log.
    pub fn at_position(self: &Arc<Self>, position: Position) -> Option<&Arc<Self>> {
        self.newest_where(|node| node.parts.position <= position)
    }

    /// The event that the config stood at after all events of this time and before.
    pub fn at_time(self: &Arc<Self>, time: Timestamp) -> Option<&Arc<Self>> {
        self.newest_where(|node| node.parts.recorded_at <= time)
    }

    /// The event of this version.
    pub fn at_version(self: &Arc<Self>, version: Version) -> Option<&Arc<Self>> {
        self.newest_where(|node| node.parts.version <= version)
            .filter(|node| node.parts.version == version)
    }

    /// The event before this one.
    pub fn previous(&self) -> Option<&Self> {
        self.previous.as_deref()
    }

    /// Whether the config has a value after this event.
    pub fn is_live(&self) -> bool {
        self.parts.change != Change::Deleted
    }

    /// Which config.
    pub fn key(&self) -> &ConfigKey {
        &self.parts.key
    }

    /// Where in the config's stream.
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// Where in the log.
    pub fn position(&self) -> Position {
        self.parts.position
    }

    /// The last position of the command that this event is part of.
    pub fn command_end(&self) -> Position {
        let part = self.parts.part;
        let rest = part.size.saturating_sub(1).saturating_sub(part.index);
        Position(self.parts.position.0 + u64::from(rest))
    }

    /// Whether this is the last event of its command.
    pub fn ends_command(&self) -> bool {
        self.parts.part.is_last()
    }

    /// Which part of its command this is.
    pub(crate) fn part(&self) -> CommandPart {
        self.parts.part
    }

    /// When it was recorded.
    pub fn recorded_at(&self) -> Timestamp {
        self.parts.recorded_at
    }

    /// When the config's first event was recorded.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The version of the form that it is stored in.
    pub fn schema_version(&self) -> u32 {
        self.parts.schema_version
    }

    /// What happened.
    pub fn change(&self) -> Change {
        self.parts.change
    }

    /// What the config has after the event; for a delete, what it had before.
    pub fn content(&self) -> &Content {
        &self.parts.content
    }

    /// The value that the config had just before; none if it had none.
    pub fn old_value(&self) -> Option<&Value> {
        self.previous().filter(|before| before.is_live()).map(|before| &before.parts.content.value)
    }

    /// Who asked.
    pub fn actor(&self) -> &str {
        self.parts.actor.as_str()
    }

    /// Why.
    pub fn reason(&self) -> &str {
        self.parts.reason.as_str()
    }

    /// Shows under which id it was asked; empty if there is none.
    pub fn with_request_id<T>(&self, see: impl FnOnce(&str) -> T) -> T {
        self.parts.request_id.with_text(see)
    }

    /// Shows the trace that the request belonged to; empty if there is none.
    pub fn with_traceparent<T>(&self, see: impl FnOnce(&str) -> T) -> T {
        match &self.parts.traceparent {
            Some(trace) => trace.with_text(see),
            None => see(""),
        }
    }

    /// The hash of the row.
    pub fn hash(&self) -> Hash {
        self.parts.hash
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("key", &self.parts.key)
            .field("version", &self.parts.version)
            .field("position", &self.parts.position)
            .field("change", &self.parts.change)
            .finish_non_exhaustive()
    }
}

impl Drop for Node {
    /// Node by node: a list of a million versions must not need a million stack frames. The jumps
    /// go first, while all that they lead to is still held by the list itself.
    fn drop(&mut self) {
        self.jump = None;
        let mut next = self.previous.take();
        while let Some(mut node) = next.and_then(Arc::into_inner) {
            node.jump = None;
            next = node.previous.take();
        }
    }
}
