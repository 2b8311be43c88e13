//! What readers see: one state of the log, whose log it is, and whether it may be served. A view
//! never changes; a newer one takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use configapi_domain::{Position, Timestamp};
use configapi_event_log::{Hash, Identity, Lineage, LogId};
use configapi_proto::{ApiError, Reason, Token, key, timestamp_from_micros, v1};

use crate::clock;
use crate::projection::{Anchor, State};

/// How long after the time that it bears an event may become durable, at the longest: a store may hang for
/// as long as an append may take (15 s), be followed up (10 s), and hang in the last look of that for as long
/// as a turn, a page and an append may take (65 s).
const SETTLED_AFTER_MICROS: i64 = 120_000_000;

/// Whether the state may be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It may.
    Serving,
    /// It may not; why, for people.
    NotReady(Arc<str>),
}

/// Whose log the state is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFacts {
    /// Not known before the log was reached for the first time.
    pub log_id: Option<LogId>,
    pub lineage: Lineage,
    /// Whether the log is read from a standby, which may lag behind.
    pub is_standby: bool,
}

impl From<Identity> for LogFacts {
    fn from(identity: Identity) -> Self {
        let Identity { log_id, lineage, is_standby, store_time: _, takes_no_appends: _ } = identity;
        Self { log_id: Some(log_id), lineage, is_standby }
    }
}

/// Until when a state is known to have been all of the log. That is found out again and again while
/// nothing happens, so it is noted beside the state and needs no new view.
#[derive(Debug, Clone)]
pub(crate) struct WholeUntil(Arc<AtomicI64>);

impl WholeUntil {
    /// Until this time, if any is known.
    pub fn at(until: Option<Timestamp>) -> Self {
        Self(Arc::new(AtomicI64::new(until.map_or(i64::MIN, |until| until.0))))
    }

    /// The log was asked again, and held no more by this time.
    pub fn note(&self, until: Timestamp) {
        self.0.fetch_max(until.0, Ordering::AcqRel);
    }

    fn get(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Acquire))
    }
}

/// One state of the log, as readers see it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub state: State,
    pub log: Arc<LogFacts>,
    pub condition: Condition,
    pub whole_until: WholeUntil,
    /// Grows when a state is dropped because the log no longer is what it was read from.
    pub generation: u64,
}

impl View {
    /// Before anything was read.
    pub fn initial() -> Self {
        let nowhere = Anchor {
            position: Position::GENESIS,
            hash: Hash::ZERO,
            recorded_at: Timestamp::default(),
        };
        let log = LogFacts { log_id: None, lineage: Lineage::unbroken(), is_standby: false };
        Self {
            state: State::empty(nowhere),
            log: Arc::new(log),
            condition: Condition::NotReady("the log has not been reached yet".into()),
            whole_until: WholeUntil::at(None),
            generation: 0,
        }
    }

    /// The last position that this view holds.
    pub fn position(&self) -> Position {
        self.state.position()
    }

    /// The time up to which the log is known: no event that is not in the state was recorded before
    /// it.
    pub fn known_until(&self) -> Timestamp {
        self.state.anchor().recorded_at.max(self.whole_until.get())
    }

    /// Whether the state holds all that was recorded at a time or before, for good: later events are
    /// recorded no earlier than the last one, and what was not durable long after its time never is. The
    /// future is the present.
    pub fn is_whole_at(&self, time: Timestamp) -> bool {
        time < self.state.anchor().recorded_at
            || time.0.saturating_add(SETTLED_AFTER_MICROS) <= self.whole_until.get().0
            || time > clock::now()
    }

    /// The same for one who asked at a moment: what is in the log by then counts. An event bears the time at
    /// which it was decided on, so a look at the log before then may have come before one that was on its
    /// way, though its time was over.
    pub fn is_whole_for(&self, time: Timestamp, asked_at: Timestamp) -> bool {
        self.is_whole_at(time) || time.max(asked_at) <= self.whole_until.get()
    }

    /// The token of a position, in the epoch that the log is in now.
    pub fn token(&self, position: Position) -> Token {
        Token { epoch: self.log.lineage.current().0, position: position.0 }
    }

    /// The state after a position, as answers tell it.
    pub fn read_state(&self, position: Position) -> v1::ReadState {
        let token = self.token(position);
        let recorded_at = self.state.event(position).map(|event| event.recorded_at());
        v1::ReadState {
            position: token.position,
            epoch: token.epoch,
            token: token.to_string(),
            recorded_at: recorded_at.map(|at| timestamp_from_micros(at.0)),
        }
    }

    /// Refuses if this view may not be served.
    pub fn check(&self) -> Result<(), ApiError> {
        match &self.condition {
            Condition::Serving => Ok(()),
            Condition::NotReady(why) => Err(self.unavailable(format!("not ready: {why}"))),
        }
    }

    /// An error that tells how far this server is.
    pub fn unavailable(&self, message: impl Into<String>) -> ApiError {
        let reached = self.token(self.position());
        ApiError::new(Reason::Unavailable, message)
            .with_metadata(key::TOKEN, reached)
            .with_metadata(key::REACHED_TOKEN, reached)
    }
}
