//! What is known of the end of the log, without asking: for those who wait. Only ever a hint; the
//! log itself is the truth.

use std::sync::atomic::{AtomicU64, Ordering};

use configapi_event_log::domain::Position;
use configapi_event_log::{AppendError, Epoch, Head, StoredEvent};
use tokio::sync::watch;

/// The end of the log, and its epoch, as far as this process knows.
#[derive(Debug)]
pub(crate) struct Hints {
    end: watch::Sender<End>,
    epoch: AtomicU64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct End {
    /// The newest position that this process saw in the log, or appended.
    seen: Position,
    /// What was said last. Anybody who may connect to the database can say anything, so it is good
    /// for one look: whoever looks sees what is there, and by that wakes the others.
    said: Position,
    /// Whether that look is still to come.
    is_news: bool,
}

impl End {
    /// Whether a look may find something beyond a position.
    pub(crate) fn may_be_beyond(&self, position: Position) -> bool {
        self.seen > position || (self.is_news && self.said > position)
    }
}

impl Hints {
    pub(crate) fn new() -> Self {
        Self { end: watch::Sender::default(), epoch: AtomicU64::new(0) }
    }

    /// Takes notice of a position that is in the log in this epoch, and wakes those who wait for it.
    /// A server that was left behind in an older one may still answer, and tells nothing.
    pub(crate) fn saw_in(&self, epoch: Epoch, position: Position) {
        self.enter(epoch);
        self.end.send_if_modified(|end| {
            // Asked under the lock: a new epoch begins by taking it.
            let is_news = position > end.seen && !self.is_behind(epoch);
            if is_news {
                end.seen = position;
            }
            is_news
        });
    }

    /// Takes notice of what this process has appended. If the log was seen in a later epoch meanwhile, it
    /// may have been a server that was left behind that took it: then it is in no log that counts.
    pub(crate) fn appended(&self, head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
        if self.is_behind(head.epoch) {
            let why = "the log entered another epoch meanwhile";
            return Err(AppendError::Unknown(why.to_owned()));
        }
        if let Some(last) = events.last() {
            self.saw_in(head.epoch, last.position);
        }
        Ok(())
    }

    /// As [`Hints::saw_in`], after a look at the log's end. Answers whether it has grown and nobody
    /// said so before.
    pub(crate) fn looked(&self, epoch: Epoch, position: Position) -> bool {
        self.enter(epoch);
        let mut was_untold = false;
        self.end.send_if_modified(|end| {
            if self.is_behind(epoch) {
                return false;
            }
            was_untold = position > end.seen.max(end.said);
            let is_news = position > end.seen;
            end.seen = position.max(end.seen);
            if !end.is_news {
                end.said = Position::GENESIS;
            }
            is_news
        });
        was_untold
    }

    /// Wakes one who waits, because somebody says that the log has grown.
    pub(crate) fn hear(&self, said: Position) {
        self.end.send_if_modified(|end| {
            let is_news = said > end.seen;
            if is_news {
                (end.said, end.is_news) = (said, true);
            }
            is_news
        });
    }

    /// Says that somebody looks for what is beyond a position because of what was said.
    pub(crate) fn act_on(&self, position: Position) {
        self.end.send_if_modified(|end| {
            end.is_news &= end.seen > position;
            false
        });
    }

    /// Takes notice of the epoch that the store is in. In a new one the log may be shorter.
    pub(crate) fn enter(&self, epoch: Epoch) {
        if self.epoch.fetch_max(epoch.0, Ordering::AcqRel) < epoch.0 {
            self.end.send_replace(End::default());
        }
    }

    /// Whether a store in this epoch is behind what this process has seen already.
    pub(crate) fn is_behind(&self, epoch: Epoch) -> bool {
        epoch.0 < self.epoch.load(Ordering::Acquire)
    }

    /// For whoever waits; as long as there is one, the log is looked at.
    pub(crate) fn subscribe(&self) -> watch::Receiver<End> {
        self.end.subscribe()
    }

    /// Whether anybody waits.
    pub(crate) fn has_waiters(&self) -> bool {
        self.end.receiver_count() > 0
    }
}
