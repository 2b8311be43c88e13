//! Folds events into a state, one after the other. While nobody else holds the state, it is changed
//! in place, which is what makes a replay fast.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use configapi_domain::{Actor, ConfigKey, Content, ContentType, Position, ReasonText};

use super::check::{Unfoldable, follows};
use super::decoded::Decoded;
use super::intern::Interner;
use super::node::{Change, Node, Parts};
use super::state::{Anchor, State};

/// A state under construction.
#[derive(Debug)]
pub struct Projector {
    state: State,
    texts: Texts,
    /// The newest events of the configs that a replay has touched; none outside of one.
    replay: Option<HashMap<ConfigKey, Arc<Node>>>,
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
    /// Goes on from a state.
    pub fn new(state: State) -> Self {
        Self { state, texts: Texts::default(), replay: None }
    }

    /// The state so far; within a replay it lacks the configs that the replay has touched.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// From now on many events will be folded in before anybody looks at a config: they are found
    /// by hash, and put in order once, at the end.
    pub fn begin_replay(&mut self) {
        self.replay.get_or_insert_default();
    }

    /// Makes the state whole again.
    pub fn end_replay(&mut self) {
        let mut touched: Vec<_> = self.replay.take().unwrap_or_default().into_iter().collect();
        touched.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (_, newest) in touched {
            self.state.insert(newest);
        }
    }

    /// Folds in the next event. After an error the state is as it was.
    pub fn apply(&mut self, event: Decoded) -> Result<(), Unfoldable> {
        if event.parts.position != self.state.position().next() {
            let problem = "its position is not the next one";
            return Err(Unfoldable { position: event.parts.position, problem });
        }
        let node = if let Some(replay) = &mut self.replay {
            let state = &self.state;
            match replay.entry(event.parts.key.clone()) {
                Entry::Occupied(mut newest) => {
                    let node = next(Some(newest.get()), event, &mut self.texts)?;
                    newest.insert(Arc::clone(&node));
                    node
                }
                Entry::Vacant(slot) => {
                    let key = slot.key();
                    let newest = state.newest(key.namespace(), key.name());
                    let node = next(newest, event, &mut self.texts)?;
                    slot.insert(Arc::clone(&node));
                    node
                }
            }
        } else {
            let key = &event.parts.key;
            let newest = self.state.newest(key.namespace(), key.name());
            let node = next(newest, event, &mut self.texts)?;
            self.state.insert(Arc::clone(&node));
            node
        };
        self.state.push(&node);
        Ok(())
    }
}

/// The node of an event after the newest one of its config, if it follows from it.
fn next(
    newest: Option<&Arc<Node>>,
    event: Decoded,
    texts: &mut Texts,
) -> Result<Arc<Node>, Unfoldable> {
    follows(newest.map(|newest| &**newest), &event)?;
    let mut parts = event.parts;
    if let Some(newest) = newest {
        parts.key = newest.key().clone();
        parts.content = shared_content(newest, parts.change, parts.content);
    }
    texts.share(&mut parts);
    Ok(Arc::new(Node::after(newest.cloned(), parts)))
}

/// The same content, in memory that is in use already if it can be.
fn shared_content(newest: &Node, change: Change, content: Content) -> Content {
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
        self.state.push(&node);
        *slot = Some(node);
        true
    }

    /// The state; none if a config has no event.
    pub fn finish(self) -> Option<State> {
        let mut state = self.state;
        for newest in self.newest {
            state.insert(newest?);
        }
        Some(state)
    }
}
