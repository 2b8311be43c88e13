//! What is known of the end of the log, without asking: for those who wait. Only ever a hint; the
//! log itself is the truth.

use std::sync::atomic::{AtomicU64, Ordering};

use configapi_event_log::Epoch;
use configapi_event_log::domain::Position;
use tokio::sync::watch;

/// The newest position and epoch that anybody in this process heard of.
#[derive(Debug)]
pub(crate) struct Hints {
    position: watch::Sender<Position>,
    epoch: AtomicU64,
}

impl Hints {
    pub(crate) fn new() -> Self {
        Self { position: watch::Sender::new(Position::GENESIS), epoch: AtomicU64::new(0) }
    }

    /// Wakes those who wait for a position up to this one. Answers whether it is news.
    pub(crate) fn tell(&self, position: Position) -> bool {
        self.position.send_if_modified(|known| {
            let is_news = position > *known;
            *known = position.max(*known);
            is_news
        })
    }

    /// Takes notice of the epoch that the store is in. In a new one the log may be shorter.
    pub(crate) fn enter(&self, epoch: Epoch) {
        if self.epoch.fetch_max(epoch.0, Ordering::AcqRel) < epoch.0 {
            self.position.send_replace(Position::GENESIS);
        }
    }

    /// Whether a store in this epoch is behind what this process has seen already.
    pub(crate) fn is_behind(&self, epoch: Epoch) -> bool {
        epoch.0 < self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Whether anybody waits.
    pub(crate) fn has_waiters(&self) -> bool {
        self.position.receiver_count() > 0
    }
}
