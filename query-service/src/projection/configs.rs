//! All configs, found in two ways: one by hash, which is what most questions want, and many in the
//! order of their keys. Clones are cheap and never change; what changes is in the histories.

use std::panic::resume_unwind;
use std::sync::Arc;

use configapi_domain::ConfigKey;

use super::by_place::ByPlace;
use super::history::History;
use super::in_order::InOrder;
use super::place::Place;

/// All configs that an event was ever recorded of.
#[derive(Debug, Clone, Default)]
pub(super) struct Configs {
    in_order: InOrder,
    by_place: ByPlace,
}

impl Configs {
    /// One config.
    pub fn find(&self, place: Place<'_>) -> Option<&Arc<History>> {
        self.by_place.find(place)
    }

    /// The way by which one config is found.
    pub fn by_place(&self) -> &ByPlace {
        &self.by_place
    }

    /// All configs in the order of keys, or a part of them.
    pub fn in_order(&self) -> &InOrder {
        &self.in_order
    }

    /// All of these, which are in the order of their keys.
    pub fn from_sorted(configs: Vec<Arc<History>>) -> Self {
        let mut by_place = ByPlace::default();
        for history in &configs {
            by_place.insert(Arc::clone(history));
        }
        Self { in_order: InOrder::of_sorted(configs), by_place }
    }

    /// Holds a config that was not known before.
    pub fn insert(&mut self, history: Arc<History>) {
        self.insert_unordered(Arc::clone(&history));
        self.in_order.insert(history);
    }

    /// Half of [`Configs::insert`]: from now on the config is found by its key.
    pub fn insert_unordered(&mut self, history: Arc<History>) {
        self.by_place.insert(history);
    }

    /// The other half: from now on these configs are found among others.
    pub fn put_in_order(&mut self, configs: Vec<Arc<History>>) {
        if self.in_order.is_empty() {
            self.in_order = InOrder::of_sorted(sorted(configs));
        } else {
            for history in configs {
                self.in_order.insert(history);
            }
        }
    }
}

/// Brings configs into the order of their keys: halves side by side, then both together, which
/// costs little for what is in order already.
fn sorted(configs: Vec<Arc<History>>) -> Vec<Arc<History>> {
    let alike = bytes_alike(&configs);
    let lead = |history: Arc<History>| (lead(history.key(), alike), history);
    let mut configs: Vec<_> = configs.into_iter().map(lead).collect();
    let by_key = |one: &(u128, Arc<History>), other: &(u128, Arc<History>)| {
        one.0.cmp(&other.0).then_with(|| one.1.key().cmp(other.1.key()))
    };
    let middle = configs.len() / 2;
    let (first, second) = configs.split_at_mut(middle);
    std::thread::scope(|scope| {
        let sorting = scope.spawn(|| first.sort_by(by_key));
        second.sort_by(by_key);
        sorting.join().unwrap_or_else(|panic| resume_unwind(panic));
    });
    configs.sort_by(by_key);
    configs.into_iter().map(|(_, history)| history).collect()
}

/// With how many bytes all keys begin alike.
fn bytes_alike(configs: &[Arc<History>]) -> usize {
    let Some(first) = configs.first() else { return 0 };
    let first = first.key().stream().as_bytes();
    configs.iter().fold(first.len(), |alike, history| {
        let pairs = history.key().stream().as_bytes().iter().zip(&first[..alike]);
        pairs.take_while(|(one, other)| one == other).count()
    })
}

/// What a key goes on with, as a number that is in the order of keys as far as it reaches: it lies
/// beside the config, while the key itself is far away.
fn lead(key: &ConfigKey, from: usize) -> u128 {
    let mut lead = [0; size_of::<u128>()];
    for (place, at) in lead.iter_mut().zip(from..key.stream().len()) {
        // A namespace comes before all that it is the beginning of.
        *place = if at == key.namespace().len() { 0 } else { key.stream().as_bytes()[at] };
    }
    u128::from_be_bytes(lead)
}

#[cfg(test)]
mod tests {
    use configapi_domain::Position;

    use super::*;

    #[test]
    fn configs_are_sorted_as_their_keys_are() {
        let namespaces = ["a", "a-b", "a0", "ab", "default", "default-2"];
        let names = ["x", "x.y", "x/y", "x-y", "X", "x0", "long/common/beginning/of/names/x", "z"];
        for (namespaces, names) in
            [(&namespaces[..], &names[..]), (&["a"], &names), (&namespaces, &["x"]), (&[], &[])]
        {
            let key = |ns: &&str, name: &&str| ConfigKey::parse(ns, name).unwrap();
            let keys = names.iter().flat_map(|name| namespaces.iter().map(move |ns| key(ns, name)));
            let mut keys: Vec<ConfigKey> = keys.collect();
            let history = |key: &ConfigKey| History::of(key.clone(), Position(1));
            let found = sorted(keys.iter().map(history).collect());
            keys.sort();
            assert!(found.iter().map(|history| history.key()).eq(&keys));
        }
    }
}
