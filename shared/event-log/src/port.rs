//! The port: what the house asks of a store. Few methods, and one conformance suite for them all.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use configapi_domain::{Point, Position, Timestamp};

use crate::{
    AppendError, Epoch, Hash, Identity, LogError, Newest, Page, PageLimit, Requested, StoredEvent,
};

/// Where the log ends: what a writer decides on, and appends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The epoch the log is in.
    pub epoch: Epoch,
    /// The newest event.
    pub position: Position,
    /// Its hash.
    pub hash: Hash,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// Where the log ends, and how much that says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where the log ends, as far as the one who answered has it.
    pub head: Head,
    /// Whether the one who answered may lag behind another that takes the writes: a hot standby, or
    /// one that was promoted, as long as no epoch says so. What it lacks others were told of, and
    /// nothing in its epoch says that it is lost.
    pub is_standby: bool,
}

/// A durable, append-only, hash-chained log.
///
/// All methods may be called by any number of tasks at once. A call that is dropped in the middle
/// leaves the log whole; whether a dropped append was written is unknown.
#[async_trait]
pub trait EventLog: Send + Sync + fmt::Debug + 'static {
    /// Whose log it is and what became of it, asked of the store now.
    async fn identity(&self) -> Result<Identity, LogError>;

    /// Where the log ends, asked of the store now.
    async fn head(&self) -> Result<Head, LogError>;

    /// As `head`, with what the same answer says of whether it may lag behind: for those to whom a head
    /// that is late is of no use, writers among them. A store may become a standby at any time, and behind one
    /// address there may be several. Stores that have no standbys leave this as it is.
    async fn standing(&self) -> Result<Standing, LogError> {
        Ok(Standing { head: self.head().await?, is_standby: false })
    }

    /// Compare-and-append: writes all events in one durable commit if `head` still is the head of
    /// the log, else nothing. Positions, versions, times and hashes are the caller's; what
    /// [`crate::check_batch`] refuses is refused.
    async fn append(&self, head: &Head, events: &[StoredEvent]) -> Result<(), AppendError>;

    /// Waits for a turn at the head that no other writer can take away. For a writer that lost a
    /// race: with the turn it reads on, decides and appends, and nobody can pass it meanwhile. The
    /// turn is given back when it is dropped.
    async fn take_turn(&self) -> Result<Box<dyn Turn>, LogError>;

    /// Rows from `from` on, `from` included, in one snapshot: whole commands only.
    async fn read(&self, from: Position, limit: PageLimit) -> Result<Page, LogError>;

    /// As `read`, of what this very instance has at hand, because it appended it lately or read it
    /// ahead, if that goes beyond `from` and the row there has this hash. It is in the log, but others
    /// may have appended since: the page says as much as one that was read a moment ago. None says
    /// nothing.
    fn at_hand(&self, _from: Position, _hash: Hash, _limit: PageLimit) -> Option<Page> {
        None
    }

    /// The newest event of each of these streams, in their order; streams without events are left out.
    /// When the rows weigh about so many bytes the answer ends, and says which streams are still to be
    /// asked for.
    async fn newest(&self, streams: &[&str], limit_bytes: usize) -> Result<Newest, LogError>;

    /// The events that streams stood at: for each of these, in their order, the one of exactly that
    /// version, or the newest one at or before that time or position. A position within a command
    /// means all of it, as it does to readers: nobody sees half. When the rows weigh about so many
    /// bytes the answer ends; those beyond it are still to be asked for. Costs about the same however
    /// many events a stream has.
    async fn streams_at(
        &self,
        wanted: &[(&str, Point)],
        limit_bytes: usize,
    ) -> Result<Vec<Option<StoredEvent>>, LogError>;

    /// All events of the commands that were keyed with these request ids, in their order; ids of no
    /// command are left out. When the rows weigh about so many bytes the answer ends behind a whole
    /// command, and says which ids are still to be asked for.
    async fn requests(&self, ids: &[&str], limit_bytes: usize) -> Result<Requested, LogError>;

    /// Returns soon after the log may have grown beyond a position, at the latest when patience
    /// ends. A hint only: a lost one costs the patience, never an event.
    async fn grown(&self, beyond: Position, patience: Duration);

    /// Begins a new epoch after `head`: an operator restored the log or accepts that a tail is
    /// lost. Positions after the head get a new meaning, and everybody is told. If `head` no longer
    /// is the head of the log (somebody appended, or began an epoch first), nothing changes and the
    /// answer is [`LogError::Unavailable`].
    async fn begin_epoch(&self, head: &Head) -> Result<Epoch, LogError>;

    /// Leaves the store in order, within seconds: called once, by whoever opened the log, when nothing
    /// is under way any more. What was acknowledged needs it not, so what hinders it is not told. Stores
    /// that have nothing to put in order leave this as it is.
    async fn close(&self) {}
}

/// A writer's turn at the head of the log.
#[async_trait]
pub trait Turn: Send + fmt::Debug {
    /// As [`EventLog::read`], and it sees everything that was committed before the turn began.
    async fn read(&mut self, from: Position, limit: PageLimit) -> Result<Page, LogError>;

    /// As [`EventLog::append`]; ends the turn.
    async fn append(
        self: Box<Self>,
        head: &Head,
        events: &[StoredEvent],
    ) -> Result<(), AppendError>;
}
