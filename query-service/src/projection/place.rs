//! Finding configs by parts of their keys, without making a key first: one config, or in order all
//! that a namespace and a prefix select.

use std::array;
use std::cmp::Ordering;
use std::iter::{Flatten, Fuse};
use std::mem::replace;
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

/// How many configs are gone on with at a time.
const GROUP: usize = 16;

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
///
/// Neighbours in that order lie wherever there was room when each was recorded. So they are taken in
/// groups, and what is read of a group next is asked for while the groups before it are told.
pub(crate) struct Matching<'a> {
    state: &'a State,
    walk: Fuse<Walk<'a>>,
    /// How many more configs are walked to before anybody has asked for them.
    ahead: usize,
    /// Whether more than one group is wanted.
    is_long: bool,
    /// Where their newest events are found is asked for.
    walked: Group<Walked<'a>>,
    /// Their newest events are asked for.
    found: Group<Step<'a>>,
    /// The values of those are asked for.
    seen: Group<Step<'a>>,
    told: Flatten<array::IntoIter<Option<Step<'a>>, GROUP>>,
}

type Group<T> = [Option<T>; GROUP];

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
        let (found, seen) = ([None; GROUP], [None; GROUP]);
        let told = found.into_iter().flatten();
        let (ahead, walked) = (usize::MAX, [None; GROUP]);
        Self { state, walk, ahead, is_long: false, walked, found, seen, told }
    }

    /// For one who expects to want no more than so many.
    pub fn expecting(self, steps: usize) -> Self {
        Self { ahead: steps, ..self }
    }

    /// Goes on until there is something to tell. None if there is no more.
    fn go_on(&mut self) -> Option<()> {
        loop {
            let told = if self.is_long {
                let seen = see(self.state, self.found);
                self.found = find(self.state, self.walked);
                self.walked = self.walk();
                replace(&mut self.seen, seen)
            } else {
                // Many want no more than one group: none is taken for them in vain.
                self.is_long = true;
                see(self.state, find(self.state, self.walk()))
            };
            if told.iter().any(Option::is_some) {
                self.told = told.into_iter().flatten();
                return Some(());
            }
            // All is told, or no more was expected to be wanted, or the first group had nothing to tell
            // and no other was taken yet.
            let under_way = self.found.iter().chain(&self.seen).any(Option::is_some);
            if !under_way && self.walked[0].is_none() {
                self.ahead = usize::MAX;
                self.walked = self.walk();
                self.walked[0]?;
            }
        }
    }

    fn walk(&mut self) -> Group<Walked<'a>> {
        let mut walked = [None; GROUP];
        let steps = self.ahead.min(GROUP);
        self.ahead -= steps;
        walked[..steps].fill_with(|| self.walk.next());
        for walked in walked.iter().flatten() {
            if let Walked::Match(history) = walked {
                self.state.ask_for_place_of(history.newest());
            }
        }
        walked
    }
}

fn find<'a>(state: &'a State, walked: Group<Walked<'a>>) -> Group<Step<'a>> {
    walked.map(|walked| match walked? {
        Walked::Match(history) => {
            let newest = state.later_too(history.newest())?;
            newest.ask_for();
            Some(Step::Match(newest))
        }
        Walked::Past(history) => Some(Step::Past(history.key())),
    })
}

fn see<'a>(state: &State, found: Group<Step<'a>>) -> Group<Step<'a>> {
    found.map(|step| match step? {
        Step::Match(newest) => {
            let node = newest.at_position(state.position())?;
            node.ask_for_value();
            Some(Step::Match(node))
        }
        past @ Step::Past(_) => Some(past),
    })
}

impl<'a> Iterator for Matching<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.told.next() {
                Some(step) => return Some(step),
                None => self.go_on()?,
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
