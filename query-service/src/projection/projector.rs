//! Folds events into a state, one after the other. A state is continued by one owner, its projector;
//! all others only read what it was.

use std::sync::Arc;

use configapi_domain::{ConfigKey, Position};

use super::check::{Unfoldable, follows};
use super::configs::Configs;
use super::decoded::Decoded;
use super::history::History;
use super::near::{ask_for, ask_for_text};
use super::node::{Node, Parts};
use super::place::Place;
use super::state::{Anchor, State};

/// A state under construction.
#[derive(Debug)]
pub struct Projector {
    state: State,
    /// The configs that a replay has met for the first time; none outside of one.
    replay: Option<Vec<Arc<History>>>,
}

impl Projector {
    /// Begins before the first event of a log with this genesis row.
    pub fn new(genesis: Anchor) -> Self {
        Self::of(State::empty(genesis))
    }

    fn of(state: State) -> Self {
        Self { state, replay: None }
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
        if let Some(fresh) = self.replay.take() {
            self.state.configs_mut().put_in_order(fresh);
        }
    }

    /// Folds in the next event. After an error the state is as it was.
    pub fn apply(&mut self, event: Decoded) -> Result<(), Unfoldable> {
        if event.node.position() != self.state.position().next() {
            let problem = "its position is not the next one";
            return Err(Unfoldable { position: event.node.position(), problem });
        }
        let history = self.state.history(Place::of(event.node.key())).map(Arc::clone);
        let newest = history.as_ref().and_then(|history| self.state.newest_of(history));
        let node = next(newest, event)?;
        // Among all events first: that is where whoever looks at the config will look for it.
        self.state.push(Arc::clone(&node));
        match history {
            Some(history) => history.push(node.position()),
            None => self.meet(&node),
        }
        Ok(())
    }

    /// Takes up a config that has its first event.
    fn meet(&mut self, first: &Node) {
        let history = History::of(first.key().clone(), first.position());
        let configs = self.state.configs_mut();
        match &mut self.replay {
            Some(fresh) => {
                configs.insert_unordered(Arc::clone(&history));
                fresh.push(history);
            }
            None => configs.insert(history),
        }
    }
}

/// The node of an event after the newest one of its config, if it follows from it.
fn next(newest: Option<&Arc<Node>>, event: Decoded) -> Result<Arc<Node>, Unfoldable> {
    follows(newest, &event)?;
    let mut node = event.node;
    if let Some(newest) = newest {
        // Nobody else has it yet, so it is not copied.
        let node = Arc::make_mut(&mut node);
        node.share_with(newest);
        node.come_after(Arc::clone(newest));
    }
    Ok(node)
}

/// A state that is read back from a snapshot: keys are numbers there, in the order of keys, so that
/// no event needs a search.
#[derive(Debug)]
pub(crate) struct Restoring {
    state: State,
    keys: Vec<ConfigKey>,
    newest: Vec<Option<Arc<Node>>>,
}

impl Restoring {
    pub fn new(genesis: Anchor, keys: Vec<ConfigKey>) -> Self {
        Self { state: State::empty(genesis), newest: vec![None; keys.len()], keys }
    }

    /// The position that the next event must have.
    pub fn next_position(&self) -> Position {
        self.state.position().next()
    }

    /// The key with this number.
    pub fn key(&self, number: usize) -> Option<&ConfigKey> {
        self.keys.get(number)
    }

    /// The newest event so far of the config with this number.
    pub fn newest(&self, key: usize) -> Option<&Arc<Node>> {
        self.newest.get(key)?.as_ref()
    }

    /// Asks for what these configs hold, a step for all of them at a time.
    pub fn ask_for(&self, keys: impl Iterator<Item = usize> + Clone) {
        for number in keys.clone() {
            self.keys.get(number).map(ask_for);
            self.newest.get(number).map(ask_for);
        }
        for number in keys {
            if let Some(key) = self.key(number) {
                ask_for_text(key.stream());
            }
            if let Some(newest) = self.newest(number) {
                newest.ask_for();
            }
        }
    }

    /// Adds the next event, of the config with this number. Answers whether there is such a number.
    pub fn push(&mut self, key: usize, parts: Parts) -> bool {
        let Some(slot) = self.newest.get_mut(key) else { return false };
        let mut node = Node::alone(parts);
        if let Some(newest) = slot.take() {
            node.come_after(newest);
        }
        let node = Arc::new(node);
        *slot = Some(Arc::clone(&node));
        self.state.push(node);
        true
    }

    /// A projector that goes on from there; none if a config has no event.
    pub fn finish(self) -> Option<Projector> {
        let mut state = self.state;
        let history = |(key, newest): (ConfigKey, Option<Arc<Node>>)| {
            Some(History::of(key, newest?.position()))
        };
        let configs: Option<Vec<_>> = self.keys.into_iter().zip(self.newest).map(history).collect();
        *state.configs_mut() = Configs::from_sorted(configs?);
        Some(Projector::of(state))
    }
}
