//! All configs, found in two ways: one by hash, which is what most questions want, and many in the
//! order of their keys. Clones are cheap and never change; what changes is in the histories.

use std::hash::{Hash, Hasher};
use std::panic::resume_unwind;
use std::sync::Arc;

use configapi_domain::ConfigKey;
use equivalent::Equivalent;
use foldhash::quality::RandomState;
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap};

use super::history::History;
use super::place::Place;

/// All configs that an event was ever recorded of.
#[derive(Debug, Clone, Default)]
pub(super) struct Configs {
    in_order: InOrder,
    by_place: ByPlace,
}

/// Configs by hash. Only those who may write can choose keys, so a fast hash is safe enough.
type ByPlace = GenericHashMap<Placed, Arc<History>, RandomState, DefaultSharedPtr>;

/// Configs in the order of their keys.
pub(super) type InOrder = OrdMap<ConfigKey, Arc<History>>;

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
    /// One config.
    pub fn find(&self, place: Place<'_>) -> Option<&Arc<History>> {
        self.by_place.get(&place)
    }

    /// All configs in the order of keys, or a part of them.
    pub fn in_order(&self) -> &InOrder {
        &self.in_order
    }

    /// All of these, which are in the order of their keys. The two ways to find them are built side
    /// by side: a start with a million configs waits for it.
    pub fn from_sorted(configs: &[(ConfigKey, Arc<History>)]) -> Self {
        std::thread::scope(|scope| {
            let in_order = scope.spawn(|| configs.iter().cloned().collect());
            let placed =
                |(key, history): &(ConfigKey, _)| (Placed(key.clone()), Arc::clone(history));
            let by_place = configs.iter().map(placed).collect();
            let in_order = in_order.join().unwrap_or_else(|panic| resume_unwind(panic));
            Self { in_order, by_place }
        })
    }

    /// Holds a config that was not known before.
    pub fn insert(&mut self, key: ConfigKey, history: Arc<History>) {
        self.insert_unordered(key.clone(), Arc::clone(&history));
        self.insert_ordered(key, history);
    }

    /// Half of [`Configs::insert`]: from now on the config is found by its key.
    pub fn insert_unordered(&mut self, key: ConfigKey, history: Arc<History>) {
        self.by_place.insert(Placed(key), history);
    }

    /// The other half: from now on the config is found among others.
    pub fn insert_ordered(&mut self, key: ConfigKey, history: Arc<History>) {
        self.in_order.insert(key, history);
    }
}
