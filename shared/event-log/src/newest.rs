//! The newest events of many streams, cut at a limit: rows are as large as their values, and whoever
//! asks for many cannot know beforehand what they weigh.

use crate::StoredEvent;

/// The newest events of the first of the streams that were asked for, in the order of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// One row for each stream that has events.
    pub rows: Vec<StoredEvent>,
    /// Whether there are rows for streams further on.
    pub is_cut: bool,
    bytes: usize,
    limit_bytes: usize,
}

impl Newest {
    /// No rows yet, and room for so many bytes.
    pub fn within(limit_bytes: usize) -> Self {
        Self { rows: Vec::new(), is_cut: false, bytes: 0, limit_bytes }
    }

    /// Takes a row if there is room, or if it is the first; answers whether it did. After one that was
    /// not taken no other is.
    pub fn push(&mut self, row: StoredEvent) -> bool {
        self.is_cut |= self.bytes >= self.limit_bytes && !self.rows.is_empty();
        if !self.is_cut {
            self.bytes += row.weight_bytes();
            self.rows.push(row);
        }
        !self.is_cut
    }

    /// How many of the streams that were asked for, from the first on, this is the answer for. The
    /// others are still to be asked for.
    pub fn answered(&self, streams: &[&str]) -> usize {
        let last = self.rows.last().filter(|_| self.is_cut);
        let place = last.and_then(|row| streams.iter().position(|stream| **stream == *row.stream));
        place.map_or(streams.len(), |place| place + 1)
    }
}
