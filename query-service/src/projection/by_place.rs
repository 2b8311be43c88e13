//! Configs by hash, in one table that all states share: nothing is copied when a config is added. A
//! state that finds a config which came after it finds nothing in its history up to its position.

use std::fmt;
use std::hash::BuildHasher;
use std::mem::take;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::quality::RandomState;

use super::history::History;
use super::near::ask_for;
use super::place::Place;

/// The table grows part by part, so that no growing takes long.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 10;
/// How many slots the smallest part has that has any.
const MIN_SLOTS: usize = 8;

/// Configs by hash. Only those who may write can choose keys, so a fast hash is safe enough.
#[derive(Clone)]
pub(super) struct ByPlace {
    hashing: RandomState,
    parts: Arc<[Arc<Part>]>,
}

/// Slots that are taken one after the other, each once, and never all.
#[derive(Default)]
struct Part {
    taken: AtomicUsize,
    slots: Box<[Slot]>,
}

type Slot = OnceLock<(u64, Arc<History>)>;

impl fmt::Debug for ByPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByPlace").finish_non_exhaustive()
    }
}

impl Default for ByPlace {
    fn default() -> Self {
        let empty = Arc::new(Part::default());
        Self { hashing: RandomState::default(), parts: vec![empty; PARTS].into() }
    }
}

impl ByPlace {
    /// The config at this place, one that came later than the state that is asked included.
    pub fn find(&self, place: Place<'_>) -> Option<&Arc<History>> {
        let hash = self.hashing.hash_one(place);
        let mut slots = self.parts[part_of(hash)].from(hash).map_while(OnceLock::get);
        let found = slots.find(|(known, it)| *known == hash && Place::of(it.key()) == place);
        found.map(|(_, history)| history)
    }

    /// By what the config at this place is found.
    pub fn hash(&self, place: Place<'_>) -> u64 {
        self.hashing.hash_one(place)
    }

    /// Asks for where a config with this hash is found.
    pub fn ask_for(&self, hash: u64) {
        if let Some(slot) = self.parts[part_of(hash)].from(hash).next() {
            ask_for(slot);
        }
    }

    /// What is most likely the config with this hash. It is not looked at: that would be a step into
    /// memory that is far away.
    pub fn find_likely(&self, hash: u64) -> Option<&History> {
        let mut slots = self.parts[part_of(hash)].from(hash).map_while(OnceLock::get);
        slots.find(|(known, _)| *known == hash).map(|(_, history)| &**history)
    }

    /// Adds a config that is not there. A table is continued by its one owner only.
    pub fn insert(&mut self, history: Arc<History>) {
        let hash = self.hashing.hash_one(Place::of(history.key()));
        let index = part_of(hash);
        if self.parts[index].is_crowded() {
            let part = &mut Arc::make_mut(&mut self.parts)[index];
            *part = Arc::new(take(part).grown());
        }
        self.parts[index].put(hash, history);
    }
}

fn part_of(hash: u64) -> usize {
    usize::try_from(hash >> (u64::BITS - PART_BITS)).unwrap_or_default()
}

impl Part {
    fn is_crowded(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.slots.len() / 5 * 4
    }

    /// The same with twice as many slots.
    fn grown(self: Arc<Self>) -> Self {
        let count = (self.slots.len() * 2).max(MIN_SLOTS);
        let slots = (0..count).map(|_| OnceLock::new()).collect();
        let grown = Self { taken: AtomicUsize::new(0), slots };
        match Arc::try_unwrap(self) {
            Ok(alone) => {
                let taken = alone.slots.into_iter().filter_map(OnceLock::into_inner);
                taken.for_each(|(hash, history)| grown.put(hash, history));
            }
            Err(shared) => {
                let taken = shared.slots.iter().filter_map(OnceLock::get);
                taken.for_each(|(hash, history)| grown.put(*hash, Arc::clone(history)));
            }
        }
        grown
    }

    fn put(&self, hash: u64, history: Arc<History>) {
        if let Some(free) = self.from(hash).find(|slot| slot.get().is_none()) {
            let _ = free.set((hash, history));
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The slots in the order in which they are tried for a hash.
    fn from(&self, hash: u64) -> impl Iterator<Item = &Slot> {
        // What is left of the hash, spread over the slots.
        let spread = u128::from(hash << PART_BITS) * self.slots.len() as u128;
        let first = usize::try_from(spread >> u64::BITS).unwrap_or_default();
        let (before, after) = self.slots.split_at(first.min(self.slots.len()));
        after.iter().chain(before)
    }
}

#[cfg(test)]
mod tests {
    use configapi_domain::{ConfigKey, Position};

    use super::*;

    fn history(number: usize) -> Arc<History> {
        let key = ConfigKey::parse("", &name(number)).unwrap();
        History::of(key, Position(1))
    }

    fn name(number: usize) -> String {
        format!("setting-{number}")
    }

    fn found(table: &ByPlace, number: usize) -> bool {
        let key = ConfigKey::parse("", &name(number)).unwrap();
        table.find(Place::of(&key)).is_some_and(|it| *it.key() == key)
    }

    #[test]
    fn what_was_added_is_found_and_nothing_else() {
        let mut table = ByPlace::default();
        for number in 0..20_000 {
            assert!(!found(&table, number));
            table.insert(history(number));
            assert!(found(&table, number));
        }
        assert!((0..20_000).all(|number| found(&table, number)));
        assert!((20_000..40_000).all(|number| !found(&table, number)));
    }

    #[test]
    fn an_earlier_clone_keeps_what_it_had() {
        let mut table = ByPlace::default();
        (0..1_000).for_each(|number| table.insert(history(number)));
        let earlier = table.clone();
        (1_000..50_000).for_each(|number| table.insert(history(number)));
        assert!((0..1_000).all(|number| found(&earlier, number)));
        assert!((0..50_000).all(|number| found(&table, number)));
    }
}
