//! All events by position, shared by all states. The list only grows, and each state sees as much
//! of it as it is long itself: nothing is copied when an event is added.

use std::fmt;
use std::sync::{Arc, OnceLock};

use imbl::Vector;

use super::node::Node;

/// How many events lie together.
const CHUNK: usize = 1_024;

/// The events from the first to some position.
#[derive(Clone)]
pub(super) struct Events {
    chunks: Vector<Arc<Chunk>>,
    len: usize,
}

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
        Self { chunks: Vector::new(), len: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The event with this index.
    pub fn get(&self, index: usize) -> Option<&Arc<Node>> {
        // Beyond the end there may be events of later states.
        if index >= self.len {
            return None;
        }
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)?.get()
    }

    /// The last event.
    pub fn last(&self) -> Option<&Arc<Node>> {
        self.get(self.len.checked_sub(1)?)
    }

    /// Adds an event. A list is continued by its one owner only, so its next place is empty.
    pub fn push(&mut self, node: Arc<Node>) {
        let place = self.len % CHUNK;
        if place == 0 {
            self.chunks.push_back((0..CHUNK).map(|_| OnceLock::new()).collect());
        }
        if let Some(chunk) = self.chunks.last() {
            let _ = chunk[place].set(node);
        }
        self.len += 1;
    }

    /// The events from an index on, in order.
    pub fn from(&self, first: usize) -> impl Iterator<Item = &Arc<Node>> {
        let chunks = first / CHUNK..self.len.div_ceil(CHUNK);
        chunks.flat_map(move |at| {
            let before = at * CHUNK;
            let places = first.saturating_sub(before)..(self.len - before).min(CHUNK);
            let chunk = self.chunks.get(at).and_then(|chunk| chunk.get(places));
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
