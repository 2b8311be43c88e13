//! The configs that the committer knows: a bounded cache of aggregates, each as of the head. Whoever was
//! not asked for since a hand passed by last, as that of a clock, makes room for others.

mod kept;

use std::sync::Arc;

use configapi_domain::{ConfigValue, State};
use configapi_runtime::memory;
use foldhash::quality::RandomState;
use indexmap::IndexMap;
use indexmap::map::Entry;

use self::kept::Kept;

/// From how many configs on they are spread over so much memory that large pages are worth it.
const MANY_CONFIGS: usize = 1 << 13;
/// How many the hand passes to find one that nobody asked for. Then the next one goes, for nobody is to
/// wait until the hand has come round.
const MAX_PASSED: usize = 64;
/// About what an aggregate weighs beside its texts, its place among the others included.
const FIXED_BYTES: usize = 160;

/// A bounded cache of aggregates by stream.
#[derive(Debug)]
pub(super) struct Aggregates {
    /// Only those who may write can choose streams, so a fast hash is safe enough.
    configs: IndexMap<Arc<str>, Slot, RandomState>,
    /// Whose turn it is to make room.
    hand: usize,
    bytes: usize,
    limit_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    config: Kept,
    /// Whether it was asked for since the hand passed by.
    is_wanted: bool,
}

impl Slot {
    fn weight_bytes(&self, stream: &str) -> usize {
        FIXED_BYTES + stream.len() + self.config.text_bytes()
    }
}

impl Aggregates {
    /// A cache that holds about so many bytes.
    pub fn new(limit_bytes: usize) -> Self {
        Self { configs: IndexMap::default(), hand: 0, bytes: 0, limit_bytes }
    }

    /// The aggregate of a stream, if it is known.
    pub fn get(&mut self, stream: &Arc<str>) -> Option<ConfigValue> {
        let slot = self.configs.get_mut(stream)?;
        slot.is_wanted = true;
        slot.config.get()
    }

    /// Whether the aggregate of a stream is known.
    pub fn knows(&self, stream: &Arc<str>) -> bool {
        self.configs.contains_key(stream)
    }

    /// Remembers an aggregate.
    pub fn put(&mut self, stream: &Arc<str>, config: &ConfigValue) {
        match self.configs.entry(Arc::clone(stream)) {
            Entry::Occupied(mut known) => {
                let slot = known.get_mut();
                self.bytes -= slot.config.text_bytes();
                slot.config.replace(config);
                self.bytes += slot.config.text_bytes();
            }
            Entry::Vacant(place) => {
                let slot = Slot { config: Kept::new(config), is_wanted: false };
                self.bytes += slot.weight_bytes(stream);
                place.insert(slot);
                if self.configs.len() >= MANY_CONFIGS {
                    memory::hold_much();
                }
            }
        }
        while self.bytes > self.limit_bytes && self.configs.len() > 1 {
            self.make_room();
        }
    }

    /// Brings an aggregate up to date, if it is known.
    pub fn refresh(&mut self, stream: &Arc<str>, config: &ConfigValue) {
        if self.knows(stream) {
            self.put(stream, config);
        }
    }

    /// Forgets one aggregate.
    pub fn forget(&mut self, stream: &Arc<str>) {
        if let Some((stream, slot)) = self.configs.swap_remove_entry(stream) {
            self.bytes -= slot.weight_bytes(&stream);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.configs.clear();
        self.bytes = 0;
    }

    /// Forgets the next one that was not asked for.
    fn make_room(&mut self) {
        for _ in 0..MAX_PASSED {
            match self.configs.get_index_mut(self.hand) {
                Some((_, slot)) if slot.is_wanted => slot.is_wanted = false,
                Some(_) | None => break,
            }
            self.go_on();
        }
        if let Some((stream, slot)) = self.configs.swap_remove_index(self.hand) {
            self.bytes -= slot.weight_bytes(&stream);
        }
        // The newest one is there now, and has its turn when the others have had theirs.
        self.go_on();
    }

    /// The hand goes on, and round: never beyond the last, where the next newcomer would be the first to go.
    fn go_on(&mut self) {
        self.hand += 1;
        if self.hand >= self.configs.len() {
            self.hand = 0;
        }
    }
}

/// About what an aggregate weighs, its place among the others included.
pub(super) fn weight_bytes(stream: &str, config: &ConfigValue) -> usize {
    let content = match &config.state {
        State::Unborn => 0,
        State::Live(content) | State::Deleted(content) => content.value.as_str().len(),
    };
    FIXED_BYTES + stream.len() + content
}
