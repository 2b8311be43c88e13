//! Configs in the order of their keys: those that a start found in one list, which costs a pointer
//! for each, and those that came since in a persistent map.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use configapi_domain::ConfigKey;
use equivalent::Comparable;
use imbl::OrdMap;
use imbl::ordmap::RangedIter;
use imbl::shared_ptr::DefaultSharedPtr;

use super::history::History;
use super::near::ask_for_text;
use super::place::Place;

/// How many configs ahead of its turn one is asked for.
const AHEAD: usize = 16;

/// All configs in the order of their keys. Clones are cheap and never change.
#[derive(Debug, Clone, Default)]
pub(crate) struct InOrder {
    /// In order, and none of them in the map.
    found_at_start: Arc<[Arc<History>]>,
    came_since: OrdMap<ConfigKey, Arc<History>>,
}

impl InOrder {
    /// These, which are in the order of their keys.
    pub fn of_sorted(configs: Vec<Arc<History>>) -> Self {
        Self { found_at_start: configs.into(), came_since: OrdMap::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.found_at_start.is_empty() && self.came_since.is_empty()
    }

    /// Adds a config that is not there.
    pub fn insert(&mut self, history: Arc<History>) {
        self.came_since.insert(history.key().clone(), history);
    }

    /// The configs from a place on, in order.
    pub fn from(&self, bound: Bound<Place<'_>>) -> Configs<'_> {
        let is_before = |history: &Arc<History>| match bound {
            Bound::Included(place) => place.compare(history.key()) == Ordering::Greater,
            Bound::Excluded(place) => place.compare(history.key()) != Ordering::Less,
            Bound::Unbounded => false,
        };
        let first = self.found_at_start.partition_point(is_before);
        let range = (bound.as_ref(), Bound::Unbounded);
        Configs {
            found_at_start: &self.found_at_start[first..],
            came_since: Upcoming::of(self.came_since.range::<_, Place<'_>>(range)),
        }
    }
}

/// Configs in order. What the next ones lie in is asked for.
pub(crate) struct Configs<'a> {
    found_at_start: &'a [Arc<History>],
    came_since: Upcoming<'a>,
}

impl<'a> Iterator for Configs<'a> {
    type Item = &'a Arc<History>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((first, rest)) = self.found_at_start.split_first()
            && self.came_since.first().is_none_or(|history| first.key() < history.key())
        {
            if let Some(later) = rest.get(2 * AHEAD) {
                later.ask_for();
            }
            if let Some(soon) = rest.get(AHEAD) {
                soon.ask_for_key();
            }
            self.found_at_start = rest;
            return Some(first);
        }
        self.came_since.next()
    }
}

/// Configs of the map, some of which are taken out ahead of their turn.
struct Upcoming<'a> {
    rest: RangedIter<'a, ConfigKey, Arc<History>, DefaultSharedPtr>,
    taken: VecDeque<&'a Arc<History>>,
}

impl<'a> Upcoming<'a> {
    fn of(rest: RangedIter<'a, ConfigKey, Arc<History>, DefaultSharedPtr>) -> Self {
        let mut upcoming = Self { rest, taken: VecDeque::new() };
        upcoming.take_one();
        upcoming
    }

    /// Whose turn is next.
    fn first(&self) -> Option<&'a Arc<History>> {
        self.taken.front().copied()
    }

    /// A key lies in the map, so its text can be asked for before the history is near.
    fn take_one(&mut self) {
        if let Some((key, history)) = self.rest.next() {
            history.ask_for();
            ask_for_text(key.stream());
            self.taken.push_back(history);
        }
    }
}

impl<'a> Iterator for Upcoming<'a> {
    type Item = &'a Arc<History>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take_one();
        // Not all at once: most walks are short.
        if self.taken.len() < AHEAD {
            self.take_one();
        }
        self.taken.pop_front()
    }
}
