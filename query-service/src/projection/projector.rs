//! Folds events into a state, one after the other. A state is continued by one owner, its projector;
//! all others only read what it was.

use std::sync::Arc;

use configapi_domain::{Actor, ConfigKey, Content, ContentType, Position, ReasonText};

use super::check::{Unfoldable, follows};
use super::configs::Configs;
use super::decoded::Decoded;
use super::history::History;
use super::intern::Interner;
use super::node::{Change, Node, Parts};
use super::place::Place;
use super::state::{Anchor, State};

/// A state under construction.
#[derive(Debug)]
pub struct Projector {
    state: State,
    texts: Texts,
    /// The configs that a replay has met for the first time; none outside of one.
    replay: Option<Vec<(ConfigKey, Arc<History>)>>,
}

/// The texts that many events share.
#[derive(Debug, Default)]
struct Texts {
    actors: Interner<Actor>,
    reasons: Interner<ReasonText>,
    content_types: Interner<ContentType>,
}

impl Texts {
    fn share(&mut self, parts: &mut Parts) {
        parts.actor = self.actors.shared(parts.actor.clone());
        parts.reason = self.reasons.shared(parts.reason.clone());
        if let Some(content_type) = parts.content.content_type.take() {
            parts.content.content_type = Some(self.content_types.shared(content_type));
        }
    }
}

impl Projector {
    /// Begins before the first event of a log with this genesis row.
    pub fn new(genesis: Anchor) -> Self {
        Self::of(State::empty(genesis))
    }

    fn of(state: State) -> Self {
        Self { state, texts: Texts::default(), replay: None }
    }

    /// The state so far; within a replay, new configs are not found in the order of keys.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// From now on many events will be folded in before anybody looks at configs in order: new ones
    /// are put in order once, at the end.
    pub fn begin_replay(&mut self) {
        self.replay.get_or_insert_default();
    }

    /// Makes the state whole again.
    pub fn end_replay(&mut self) {
        let mut fresh = self.replay.take().unwrap_or_default();
        sort(&mut fresh);
        for (key, history) in fresh {
            self.state.configs_mut().insert_ordered(key, history);
        }
    }

    /// Folds in the next event. After an error the state is as it was.
    pub fn apply(&mut self, event: Decoded) -> Result<(), Unfoldable> {
        if event.parts.position != self.state.position().next() {
            let problem = "its position is not the next one";
            return Err(Unfoldable { position: event.parts.position, problem });
        }
        let node = if let Some(history) = self.state.history(Place::of(&event.parts.key)) {
            let node = next(Some(history.newest()), event, &mut self.texts)?;
            history.push(Arc::clone(&node));
            node
        } else {
            let node = next(None, event, &mut self.texts)?;
            self.meet(&node);
            node
        };
        self.state.push(node);
        Ok(())
    }

    /// Takes up a config that has its first event.
    fn meet(&mut self, first: &Arc<Node>) {
        let history = Arc::new(History::new(Arc::clone(first)));
        let (key, configs) = (first.key().clone(), self.state.configs_mut());
        match &mut self.replay {
            Some(fresh) => {
                configs.insert_unordered(key.clone(), Arc::clone(&history));
                fresh.push((key, history));
            }
            None => configs.insert(key, history),
        }
    }
}

/// Brings configs into the order of their keys: halves side by side, then both together, which
/// costs little for what is in order already.
fn sort(configs: &mut [(ConfigKey, Arc<History>)]) {
    let by_key = |(one, _): &(ConfigKey, _), (other, _): &(ConfigKey, _)| one.cmp(other);
    let (first, second) = configs.split_at_mut(configs.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| first.sort_by(by_key));
        second.sort_by(by_key);
    });
    configs.sort_by(by_key);
}

/// The node of an event after the newest one of its config, if it follows from it.
fn next(
    newest: Option<Arc<Node>>,
    event: Decoded,
    texts: &mut Texts,
) -> Result<Arc<Node>, Unfoldable> {
    follows(newest.as_deref(), &event)?;
    let mut parts = event.parts;
    if let Some(newest) = &newest {
        parts.key = newest.key().clone();
        parts.content = shared_content(newest, parts.change, parts.content);
    }
    texts.share(&mut parts);
    Ok(Arc::new(Node::after(newest, parts)))
}

/// The same content, in memory that is in use already if it can be.
fn shared_content(newest: &Arc<Node>, change: Change, content: Content) -> Content {
    let known = match change {
        Change::Set | Change::Deleted => Some(newest),
        Change::Restored(version) => newest.at_version(version),
    };
    match known {
        Some(node) if *node.content() == content => node.content().clone(),
        _ => content,
    }
}

/// A state that is read back from a snapshot: keys are numbers there, in the order of keys, so that
/// no event needs a search.
#[derive(Debug)]
pub(crate) struct Restoring {
    state: State,
    newest: Vec<Option<Arc<Node>>>,
}

impl Restoring {
    pub fn new(genesis: Anchor, keys: usize) -> Self {
        Self { state: State::empty(genesis), newest: vec![None; keys] }
    }

    /// The position that the next event must have.
    pub fn next_position(&self) -> Position {
        self.state.position().next()
    }

    /// The newest event so far of the config with this number.
    pub fn newest(&self, key: usize) -> Option<&Arc<Node>> {
        self.newest.get(key)?.as_ref()
    }

    /// Adds the next event, of the config with this number. Answers whether there is such a number.
    pub fn push(&mut self, key: usize, parts: Parts) -> bool {
        let Some(slot) = self.newest.get_mut(key) else { return false };
        let node = Arc::new(Node::after(slot.take(), parts));
        *slot = Some(Arc::clone(&node));
        self.state.push(node);
        true
    }

    /// A projector that goes on from there; none if a config has no event.
    pub fn finish(self) -> Option<Projector> {
        let mut state = self.state;
        let history = |newest: Arc<Node>| (newest.key().clone(), Arc::new(History::new(newest)));
        let configs: Option<Vec<_>> =
            self.newest.into_iter().map(|newest| newest.map(history)).collect();
        *state.configs_mut() = Configs::from_sorted(&configs?);
        Some(Projector::of(state))
    }
}
