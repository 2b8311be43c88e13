//! What was written under many request ids, cut at a limit: a command may be a whole Apply, and whoever
//! repeats many cannot know what they weigh.

use crate::StoredEvent;

/// The commands of the first of the request ids that were asked for, in the order of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// All events of each command, by position. Ids that no command has are left out.
    pub rows: Vec<StoredEvent>,
    /// Whether there are commands for ids further on.
    pub is_cut: bool,
    bytes: usize,
    limit_bytes: usize,
}

impl Requested {
    /// No rows yet, and room for so many bytes.
    pub fn within(limit_bytes: usize) -> Self {
        Self { rows: Vec::new(), is_cut: false, bytes: 0, limit_bytes }
    }

    /// Takes the next row of a command that was begun, or the first of another one if there is room or
    /// if it is the first of all; answers whether it did. After one that was not taken no other is.
    pub fn push(&mut self, row: StoredEvent) -> bool {
        let begins = row.request_id.is_some();
        self.is_cut |= begins && self.bytes >= self.limit_bytes && !self.rows.is_empty();
        if !self.is_cut {
            self.bytes += row.weight_bytes();
            self.rows.push(row);
        }
        !self.is_cut
    }

    /// How many of the ids that were asked for, from the first on, this is the answer for. The others
    /// are still to be asked for.
    pub fn answered(&self, ids: &[&str]) -> usize {
        let last = self.rows.iter().rev().find_map(|row| row.request_id.as_deref());
        let last = last.filter(|_| self.is_cut);
        let place = last.and_then(|last| ids.iter().position(|id| *id == last));
        place.map_or(ids.len(), |place| place + 1)
    }
}
