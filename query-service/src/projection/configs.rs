//! The newest event of every config, found in two ways: one config by hash, which is what most
//! questions want, and many in the order of their keys. Clones are cheap and never change.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use configapi_domain::ConfigKey;
use equivalent::Equivalent;
use imbl::{HashMap, OrdMap};

use super::node::Node;
use super::place::{Matching, Place};

/// All configs that an event was ever recorded of.
#[derive(Debug, Clone, Default)]
pub(super) struct Configs {
    in_order: OrdMap<ConfigKey, Arc<Node>>,
    by_place: HashMap<Placed, Arc<Node>>,
}

/// A key that is hashed as the place that it names, so that it is found without making a key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Placed(ConfigKey);

impl Hash for Placed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Place::of(&self.0).hash(state);
    }
}

impl Equivalent<Placed> for Place<'_> {
    fn equivalent(&self, key: &Placed) -> bool {
        *self == Place::of(&key.0)
    }
}

impl Configs {
    /// The newest event of one config.
    pub fn newest(&self, place: Place<'_>) -> Option<&Arc<Node>> {
        self.by_place.get(&place)
    }

    /// The newest event of every config, in the order of keys.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.in_order.values()
    }

    /// The newest event of every config that matches, in the order of keys.
    pub fn matching<'a>(
        &'a self,
        namespace: Option<&'a str>,
        prefix: &'a str,
        after: Option<Place<'_>>,
    ) -> Matching<'a> {
        Matching::new(&self.in_order, namespace, prefix, after)
    }

    /// Holds this as the newest event of its config.
    pub fn insert(&mut self, newest: Arc<Node>) {
        self.by_place.insert(Placed(newest.key().clone()), Arc::clone(&newest));
        self.in_order.insert(newest.key().clone(), newest);
    }
}
