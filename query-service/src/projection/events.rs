//! All events by position, shared by all states. The list only grows, and each state sees as much
//! of it as it is long itself: nothing is copied when an event is added, and nothing is counted or
//! locked when one is looked at.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::near::ask_for;
use super::node::Node;

/// How many events lie together.
const CHUNK: usize = 1_024;
/// As many as a list of any length needs.
const LEVELS: usize = usize::BITS as usize;

/// The events from the first to some position.
#[derive(Clone)]
pub(super) struct Events {
    shared: Arc<[Level]>,
    len: usize,
}

/// Twice as many chunks as on the level before, in the order of positions. The first has one.
type Level = OnceLock<Box<[OnceLock<Box<Chunk>>]>>;

/// Places that are filled one after the other, each once.
type Chunk = [OnceLock<Arc<Node>>];

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Events {
    /// None.
    pub fn new() -> Self {
        Self { shared: empty(LEVELS).into(), len: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The event with this index.
    pub fn get(&self, index: usize) -> Option<&Arc<Node>> {
        // Beyond the end there may be events of later states.
        if index < self.len { self.anywhere(index) } else { None }
    }

    /// The event with this index, one of a later state included.
    pub fn anywhere(&self, index: usize) -> Option<&Arc<Node>> {
        self.chunk(index / CHUNK)?.get(index % CHUNK)?.get()
    }

    /// Asks for the place of the event with this index.
    pub fn ask_for(&self, index: usize) {
        if let Some(place) = self.chunk(index / CHUNK).and_then(|chunk| chunk.get(index % CHUNK)) {
            ask_for(place);
        }
    }

    fn chunk(&self, number: usize) -> Option<&Chunk> {
        let (level, place) = place_of(number);
        self.shared.get(level)?.get()?.get(place)?.get().map(AsRef::as_ref)
    }

    /// The last event.
    pub fn last(&self) -> Option<&Arc<Node>> {
        self.get(self.len.checked_sub(1)?)
    }

    /// Adds an event. A list is continued by its one owner only, so its next place is empty.
    pub fn push(&mut self, node: Arc<Node>) {
        let (level, place) = place_of(self.len / CHUNK);
        let chunks = self.shared[level].get_or_init(|| empty(1 << level));
        let chunk = chunks[place].get_or_init(|| empty(CHUNK));
        let _ = chunk[self.len % CHUNK].set(node);
        self.len += 1;
    }

    /// The events from an index on, in order.
    pub fn from(&self, first: usize) -> impl Iterator<Item = &Arc<Node>> {
        let chunks = first / CHUNK..self.len.div_ceil(CHUNK);
        chunks.flat_map(move |at| {
            let before = at * CHUNK;
            let places = first.saturating_sub(before)..(self.len - before).min(CHUNK);
            let chunk = self.chunk(at).and_then(|chunk| chunk.get(places));
            chunk.unwrap_or_default().iter().filter_map(OnceLock::get)
        })
    }

    /// How many events from the first on a condition holds for. It must not hold again after it
    /// did not.
    pub fn count_while(&self, holds: impl Fn(&Node) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|node| holds(node)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// On which level a chunk is, and as which one there.
fn place_of(chunk: usize) -> (usize, usize) {
    let level = (chunk + 1).ilog2();
    (level as usize, chunk + 1 - (1 << level))
}

/// So many places that nothing is in yet.
fn empty<T>(count: usize) -> Box<[OnceLock<T>]> {
    (0..count).map(|_| OnceLock::new()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chunk_has_a_place_of_its_own_after_the_one_before() {
        let mut expected = (0, 0);
        for chunk in 0..100_000 {
            assert_eq!(place_of(chunk), expected, "chunk {chunk}");
            let (level, place) = expected;
            let is_last = place + 1 == 1 << level;
            expected = if is_last { (level + 1, 0) } else { (level, place + 1) };
        }
        let (level, _) = place_of(usize::MAX / CHUNK);
        assert!(level < LEVELS);
    }
}
