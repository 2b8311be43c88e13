//! The rules by which a reader follows the log: it starts from the row it applied last, takes no
//! step but +1, checks every link of the chain and that commands are whole, and stops rather than skip.

use configapi_domain::Position;

use crate::{ChainBreak, Hash, Page, StoredEvent, verify_link};

/// Why a reader must not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// The row applied last is no longer in the log, or is another one: the log lost its tail or
    /// was replaced.
    #[error("the log no longer holds the event seen at position {position}")]
    AnchorGone {
        /// The position applied last.
        position: Position,
    },
    /// A position is missing.
    #[error("the log has a gap: position {expected} is missing, {found} follows")]
    Gap {
        /// What had to come.
        expected: Position,
        /// What came.
        found: Position,
    },
    /// The recorded time runs backwards.
    #[error("the recorded time runs backwards at position {position}")]
    TimeRunsBackwards {
        /// Where.
        position: Position,
    },
    /// The parts of a command are not whole, or not in order.
    #[error("the event at position {position} is not the next part of a command")]
    Torn {
        /// Where.
        position: Position,
    },
    /// A hash does not fit.
    #[error(transparent)]
    Chain(#[from] ChainBreak),
}

/// A reader's place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    position: Position,
    hash: Hash,
}

impl Tail {
    /// A place after the event at `position`, which has this hash.
    pub fn after(position: Position, hash: Hash) -> Self {
        Self { position, hash }
    }

    /// The position applied last; the next page must start there, inclusive.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The hash of the event applied last.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Checks a page that was read from [`Tail::position`] and steps over it. Answers the events
    /// that are new. After an error the place is as it was.
    pub fn advance(&mut self, page: Page) -> Result<Vec<StoredEvent>, TailError> {
        let mut rows = page.events.into_iter();
        let anchor = rows.next();
        let Some(anchor) = anchor.filter(|a| a.position == self.position && a.hash == self.hash)
        else {
            return Err(TailError::AnchorGone { position: self.position });
        };
        let fresh: Vec<_> = rows.collect();
        let mut last = &anchor;
        for row in &fresh {
            let expected = last.position.next();
            if row.position != expected {
                return Err(TailError::Gap { expected, found: row.position });
            }
            if row.recorded_at < last.recorded_at {
                return Err(TailError::TimeRunsBackwards { position: row.position });
            }
            verify_link(last.hash, row)?;
            if !row.part.follows(last.part) {
                return Err(TailError::Torn { position: row.position });
            }
            last = row;
        }
        self.position = last.position;
        self.hash = last.hash;
        Ok(fresh)
    }
}
