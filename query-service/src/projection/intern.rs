//! Shares equal texts: a million events have a few hundred authors. Bounded, because the texts are
//! the callers'.

use std::collections::HashSet;
use std::hash::Hash;

use configapi_domain::{Actor, ContentType, ReasonText};
use foldhash::quality::RandomState;

use super::node::Parts;

/// The most texts of a kind that are remembered; then all are forgotten, and it begins again.
const MAX_REMEMBERED: usize = 4_096;

/// The texts that many events share.
#[derive(Debug, Default)]
pub struct Texts {
    actors: Interner<Actor>,
    reasons: Interner<ReasonText>,
    content_types: Interner<ContentType>,
}

impl Texts {
    /// Lets an event share its texts with events before it.
    pub(super) fn share(&mut self, parts: &mut Parts) {
        self.actors.share(&mut parts.actor);
        self.reasons.share(&mut parts.reason);
        if let Some(content_type) = &mut parts.content.content_type {
            self.content_types.share(content_type);
        }
    }
}

/// Remembers values so that equal ones can share one allocation.
#[derive(Debug)]
struct Interner<T>(HashSet<T, RandomState>);

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(HashSet::default())
    }
}

impl<T: Hash + Eq + Clone> Interner<T> {
    /// Replaces a value by an equal one that was seen before.
    fn share(&mut self, value: &mut T) {
        if let Some(known) = self.0.get(value) {
            *value = known.clone();
            return;
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(value.clone());
    }
}
