//! Whose log it is, and which epochs it went through. An epoch grows when a store lost its tail or
//! may have (a failover, a restore), so that a position never gets a second meaning.

use std::fmt;

use configapi_domain::{Position, Timestamp};

/// What a log is called: made once, with its genesis row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub uuid::Uuid);

impl LogId {
    /// A new id for a log that begins at this time.
    pub fn new_at(now: Timestamp) -> Self {
        let micros = u64::try_from(now.0).unwrap_or(0);
        let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
        let time = uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, nanos);
        Self(uuid::Uuid::new_v7(time))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 1, 2, 3…: one per lineage of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch that every log starts in.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an epoch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    /// Which epoch.
    pub epoch: Epoch,
    /// The first position that belongs to it.
    pub first_position: Position,
}

/// How a log begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// Its id.
    pub log_id: LogId,
    /// When it began.
    pub began_at: Timestamp,
    /// Its epochs. Of a log that is copied from elsewhere they are all there from the beginning, so
    /// that one that is not copied to its end is known to lack something: [`Lineage::lost_by`].
    pub lineage: Lineage,
}

impl Beginning {
    /// A new log, which begins at this time.
    pub fn new_at(now: Timestamp) -> Self {
        Self { log_id: LogId::new_at(now), began_at: now, lineage: Lineage::unbroken() }
    }
}

/// All epochs of a log, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    epochs: Vec<EpochStart>,
}

impl Lineage {
    /// A log that never lost anything.
    pub fn unbroken() -> Self {
        Self { epochs: vec![EpochStart { epoch: Epoch::FIRST, first_position: Position(1) }] }
    }

    /// From a store's rows, in any order.
    pub fn from_rows(mut epochs: Vec<EpochStart>) -> Self {
        epochs.sort_by_key(|start| start.epoch);
        if epochs.is_empty() {
            return Self::unbroken();
        }
        Self { epochs }
    }

    /// The epoch the log is in.
    pub fn current(&self) -> Epoch {
        self.epochs.last().map_or(Epoch::FIRST, |start| start.epoch)
    }

    /// Every epoch, oldest first.
    pub fn epochs(&self) -> &[EpochStart] {
        &self.epochs
    }

    /// The epochs after the first one, which every log has from its first position on.
    pub fn later(&self) -> impl Iterator<Item = &EpochStart> {
        self.epochs.iter().filter(|start| start.epoch > Epoch::FIRST)
    }

    /// What a log that ends at `head` has certainly lost: the newest epoch began after events that it
    /// does not hold. Answers the last of them.
    pub fn lost_by(&self, head: Position) -> Option<Position> {
        let newest = self.epochs.last()?;
        let last_before = Position(newest.first_position.0.saturating_sub(1));
        (last_before > head).then_some(last_before)
    }

    /// Whether a position that somebody saw in `epoch` still means the same event: no later epoch
    /// began at or before it. An epoch that this log has not reached yet is not judged here.
    pub fn still_holds(&self, epoch: Epoch, position: Position) -> bool {
        self.kept_of(epoch, position) == position
    }

    /// How far of what somebody saw up to a position in `epoch` still means the same.
    pub fn kept_of(&self, epoch: Epoch, position: Position) -> Position {
        let end = self.end_of(epoch);
        let kept = end.map(|start| Position(start.first_position.0.saturating_sub(1)));
        kept.map_or(position, |kept| kept.min(position))
    }

    /// The later epoch that began lowest: from there on nothing that was seen in `epoch` means the same.
    pub fn end_of(&self, epoch: Epoch) -> Option<&EpochStart> {
        let later = self.epochs.iter().filter(|start| start.epoch > epoch);
        later.min_by_key(|start| start.first_position)
    }
}

/// Whose log this is, as the store tells it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The log's id.
    pub log_id: LogId,
    /// Its epochs.
    pub lineage: Lineage,
    /// The store's own clock, where it has one apart from ours.
    pub store_time: Option<Timestamp>,
    /// Whether the store may lag behind another that takes the writes, as [`crate::Standing`] has it.
    pub is_standby: bool,
    /// Why it takes no appends from us, if it says so before one is tried: for those who opened it to
    /// write. That it says nothing is no promise.
    pub takes_no_appends: Option<String>,
}
