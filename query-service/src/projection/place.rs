//! Finding configs by parts of their keys, without making a key first: one config, or in order all
//! that a namespace and a prefix select.

use std::array;
use std::cmp::Ordering;
use std::iter::{Flatten, Fuse};
use std::ops::Bound;
use std::sync::Arc;

use configapi_domain::ConfigKey;
use equivalent::{Comparable, Equivalent};

use super::history::History;
use super::in_order::{Configs, InOrder};
use super::node::Node;
use super::state::State;

/// A place in the order of keys; it need not be a valid key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
}

impl<'a> Place<'a> {
    pub fn of(key: &'a ConfigKey) -> Self {
        Self { namespace: key.namespace(), name: key.name() }
    }
}

impl Equivalent<ConfigKey> for Place<'_> {
    fn equivalent(&self, key: &ConfigKey) -> bool {
        *self == Place::of(key)
    }
}

impl Comparable<ConfigKey> for Place<'_> {
    fn compare(&self, key: &ConfigKey) -> Ordering {
        self.namespace.cmp(key.namespace()).then_with(|| self.name.cmp(key.name()))
    }
}

/// How many configs are looked at before they are told: as many as are sure to be still near then.
const AHEAD: usize = 16;

/// A step on the way through the configs of a namespace, or of all. Each costs about the same.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// A config that matches, by its newest event.
    Match(&'a Arc<Node>),
    /// A config that does not, from which the way leads past others that do not either.
    Past(&'a ConfigKey),
}

impl<'a> Step<'a> {
    /// How far the way has come.
    pub fn key(self) -> &'a ConfigKey {
        match self {
            Self::Match(newest) => newest.key(),
            Self::Past(key) => key,
        }
    }

    /// The newest event of a config that matches.
    pub fn matching(self) -> Option<&'a Arc<Node>> {
        match self {
            Self::Match(newest) => Some(newest),
            Self::Past(_) => None,
        }
    }
}

/// The way to the newest events of all configs of a namespace, or of all, whose names begin with a
/// prefix; in the order of keys.
pub(crate) struct Matching<'a> {
    state: &'a State,
    walk: Fuse<Walk<'a>>,
    ahead: Flatten<array::IntoIter<Option<Step<'a>>, AHEAD>>,
}

impl<'a> Matching<'a> {
    /// From the beginning, or from the first key after `after`.
    pub fn new(
        state: &'a State,
        configs: &'a InOrder,
        namespace: Option<&'a str>,
        prefix: &'a str,
        after: Option<Place<'_>>,
    ) -> Self {
        let walk = Walk::new(configs, namespace, prefix, after).fuse();
        Self { state, walk, ahead: [None; AHEAD].into_iter().flatten() }
    }

    /// Brings the next ones near, a step for all of them at a time: neighbours in the order of keys
    /// lie wherever there was room when each was recorded, and memory answers many questions in about
    /// the time of one. None if there are no more.
    fn look_ahead(&mut self) -> Option<()> {
        let mut walked = [None; AHEAD];
        walked.fill_with(|| self.walk.next());
        walked[0]?;
        let steps = walked.map(|walked| match walked? {
            Walked::Match(history) => self.state.later_too(history.newest()).map(Step::Match),
            Walked::Past(history) => Some(Step::Past(history.key())),
        });
        let position = self.state.position();
        let newest = steps.map(|step| match step? {
            Step::Match(node) => {
                node.at_position(position).inspect(|node| node.look_at()).map(Step::Match)
            }
            past @ Step::Past(_) => Some(past),
        });
        self.ahead = newest.into_iter().flatten();
        Some(())
    }
}

impl<'a> Iterator for Matching<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.ahead.next() {
                Some(step) => return Some(step),
                None => self.look_ahead()?,
            }
        }
    }
}

/// Where a walk is.
#[derive(Debug, Clone, Copy)]
enum Walked<'a> {
    /// At a config that matches.
    Match(&'a History),
    /// At one that does not. From there it goes on behind others that do not either.
    Past(&'a History),
}

/// All configs of a namespace, or of all, whose names begin with a prefix; in the order of keys.
/// Steps over whole namespaces rather than through them.
struct Walk<'a> {
    configs: &'a InOrder,
    range: Configs<'a>,
    namespace: Option<&'a str>,
    prefix: &'a str,
}

impl<'a> Walk<'a> {
    fn new(
        configs: &'a InOrder,
        namespace: Option<&'a str>,
        prefix: &'a str,
        after: Option<Place<'_>>,
    ) -> Self {
        let first = Place { namespace: namespace.unwrap_or_default(), name: prefix };
        let range = match &after {
            Some(after) => configs.from(Bound::Excluded(*after)),
            None => configs.from(Bound::Included(first)),
        };
        Self { configs, range, namespace, prefix }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Walked<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let history = self.range.next()?;
        let key = history.key();
        if self.namespace.is_some_and(|namespace| namespace != key.namespace()) {
            return None;
        }
        if key.name().starts_with(self.prefix) {
            return Some(Walked::Match(history));
        }
        if self.namespace.is_some() {
            // Names with the prefix lie together, and the range began at or among them.
            return None;
        }
        self.range = if key.name() < self.prefix {
            let place = Place { namespace: key.namespace(), name: self.prefix };
            self.configs.from(Bound::Included(place))
        } else {
            // The first namespace after this one; NUL is in no namespace.
            let next = format!("{}\0", key.namespace());
            self.configs.from(Bound::Included(Place { namespace: &next, name: "" }))
        };
        Some(Walked::Past(history))
    }
}
