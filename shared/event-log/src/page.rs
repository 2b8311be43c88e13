//! A run of consecutive rows of the log, cut so that no command is torn.

use configapi_domain::{Position, Timestamp};

use crate::{Epoch, LogError, StoredEvent};

/// The most events that one command may lead to. A page must be able to hold a whole command.
pub const MAX_EVENTS_PER_COMMAND: usize = 1_000;

/// How much a page may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    events: usize,
    bytes: usize,
}

impl PageLimit {
    /// What a tailer reads at once.
    pub const TAIL: Self = Self { events: 5_000, bytes: 8 << 20 };

    /// What is read at once where much is to come.
    pub const REPLAY: Self = Self { events: 20_000, bytes: 8 << 20 };

    /// At most so many events and about so many bytes. There is always room for the anchor and one
    /// whole command, or a page could not get past it.
    pub fn new(events: usize, bytes: usize) -> Self {
        Self { events: events.max(MAX_EVENTS_PER_COMMAND + 1), bytes }
    }

    /// The most rows to ask a store for.
    pub fn events(self) -> usize {
        self.events
    }

    /// Whether so much is wanted that a store may go a way that pays for many rows only.
    pub fn is_bulk(self) -> bool {
        self.events > Self::TAIL.events
    }

    /// About the most bytes to take from a store.
    pub fn bytes(self) -> usize {
        self.bytes
    }
}

/// Consecutive rows, whole commands only, from one snapshot of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The rows, by position. The first is the one asked for, if the log has it.
    pub events: Vec<StoredEvent>,
    /// The epoch of the log in the same snapshot.
    pub epoch: Epoch,
    /// Whether the page ends because a limit was reached, not because the log ends there.
    pub is_cut: bool,
    /// How much the end of the log says, if the page holds it.
    pub reach: Reach,
}

/// Until when everything that was recorded is in an answer that holds the end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Until the store was asked: it takes the writes.
    Asked,
    /// Until this time, which is as far as a standby has come.
    Replayed(Timestamp),
    /// Not known: from a standby that cannot tell.
    Unknown,
}

impl Reach {
    /// Until when that is, of a store that was asked at this time. What its clock says of later counts
    /// for nothing.
    pub fn until(self, asked_at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Asked => Some(asked_at),
            Self::Replayed(until) => Some(until.min(asked_at)),
            Self::Unknown => None,
        }
    }

    /// Whether the one who answered may hold less than was acknowledged.
    pub fn may_lag(self) -> bool {
        self != Self::Asked
    }
}

/// Collects rows into a page, row by row, so that an adapter can stop reading in time.
#[derive(Debug)]
pub struct PageBuilder {
    limit: PageLimit,
    events: Vec<StoredEvent>,
    bytes: usize,
    is_full: bool,
    reach: Reach,
}

impl PageBuilder {
    /// An empty page.
    pub fn new(limit: PageLimit) -> Self {
        Self { limit, events: Vec::new(), bytes: 0, is_full: false, reach: Reach::Asked }
    }

    /// From a store that says so, before any row was read.
    #[must_use]
    pub fn reaching(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// Takes a row. Answers whether the page has room for more; it is never full within a command
    /// unless the row limit ends it there.
    pub fn push(&mut self, row: StoredEvent) -> bool {
        self.bytes += row.weight_bytes();
        let ends_command = row.ends_command();
        self.events.push(row);
        // The anchor alone is no progress, so at least one command is taken after it.
        let has_progress = self.events.len() > 1;
        let over_bytes = self.bytes >= self.limit.bytes && ends_command && has_progress;
        self.is_full = over_bytes || self.events.len() >= self.limit.events;
        !self.is_full
    }

    /// The page: whole commands only.
    pub fn finish(mut self, epoch: Epoch) -> Result<Page, LogError> {
        let is_cut = self.is_full;
        let whole =
            self.events.iter().rposition(StoredEvent::ends_command).map_or(0, |last| last + 1);
        if whole < self.events.len() && (!is_cut || whole == 0) {
            let position = self.events.last().map_or(Position::GENESIS, |row| row.position);
            let problem = if is_cut {
                "a command has more events than any command may have"
            } else {
                "the log ends within a command"
            };
            return Err(LogError::Corrupt { position, problem: problem.to_owned() });
        }
        self.events.truncate(whole);
        Ok(Page { events: self.events, epoch, is_cut, reach: self.reach })
    }
}
