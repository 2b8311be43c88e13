//! Shares equal texts: a million events have a few hundred authors. Bounded, because the texts are
//! the callers'.

use std::collections::HashSet;
use std::hash::Hash;

/// The most texts that are remembered; then all are forgotten, and it begins again.
const MAX_REMEMBERED: usize = 4_096;

/// Remembers values so that equal ones can share one allocation.
#[derive(Debug)]
pub(crate) struct Interner<T>(HashSet<T>);

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(HashSet::new())
    }
}

impl<T: Hash + Eq + Clone> Interner<T> {
    /// This value, or an equal one that was seen before.
    pub fn shared(&mut self, value: T) -> T {
        if let Some(known) = self.0.get(&value) {
            return known.clone();
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(value.clone());
        value
    }
}
