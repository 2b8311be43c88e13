//! Finding configs by parts of their keys, without making a key first: one config, or in order all
//! that a namespace and a prefix select.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use configapi_domain::{ConfigKey, Position};
use equivalent::{Comparable, Equivalent};

use super::in_order::{Configs, InOrder};
use super::node::Node;

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

/// The newest events of all configs of a namespace, or of all, whose names begin with a prefix; in
/// the order of keys. Steps over whole namespaces rather than through them.
pub(crate) struct Matching<'a> {
    configs: &'a InOrder,
    range: Configs<'a>,
    namespace: Option<&'a str>,
    prefix: &'a str,
    /// As of when.
    position: Position,
}

impl<'a> Matching<'a> {
    /// From the beginning, or from the first key after `after`.
    pub fn new(
        configs: &'a InOrder,
        namespace: Option<&'a str>,
        prefix: &'a str,
        after: Option<Place<'_>>,
        position: Position,
    ) -> Self {
        let first = Place { namespace: namespace.unwrap_or_default(), name: prefix };
        let range = match &after {
            Some(after) => configs.from(Bound::Excluded(*after)),
            None => configs.from(Bound::Included(first)),
        };
        Self { configs, range, namespace, prefix, position }
    }
}

impl Iterator for Matching<'_> {
    type Item = Arc<Node>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let history = self.range.next()?;
            let key = history.key();
            if self.namespace.is_some_and(|namespace| namespace != key.namespace()) {
                return None;
            }
            if key.name().starts_with(self.prefix) {
                match history.within(self.position) {
                    Some(newest) => return Some(newest),
                    None => continue,
                }
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
        }
    }
}
