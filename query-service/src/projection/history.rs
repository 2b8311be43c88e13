//! The events of one config, shared by all states that know it. A history only grows, and a state
//! sees of it what lies within the state's own position: that is what keeps states immutable
//! although nothing is copied when a config changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use configapi_domain::{ConfigKey, Position};

use super::near::{ask_for, ask_for_text};

/// One config, and where all of its events are found.
#[derive(Debug)]
pub(crate) struct History {
    key: ConfigKey,
    newest: AtomicU64,
}

impl History {
    /// All events up to the one at this position, which is of the config with this key.
    pub fn of(key: ConfigKey, newest: Position) -> Arc<Self> {
        Arc::new(Self { key, newest: AtomicU64::new(newest.0) })
    }

    /// Of which config.
    pub fn key(&self) -> &ConfigKey {
        &self.key
    }

    /// Asks for it, which may be far.
    pub fn ask_for(&self) {
        ask_for(&self.key);
        ask_for(&self.newest);
    }

    /// Asks for the text of its key, which may be far when the history itself is near.
    pub fn ask_for_key(&self) {
        ask_for_text(self.key.stream());
    }

    /// Goes on with the event after the newest one. It is among all events already: whoever is told
    /// its position finds it.
    pub fn push(&self, next: Position) {
        self.newest.store(next.0, Ordering::Release);
    }

    /// Where the newest event of all is.
    pub fn newest(&self) -> Position {
        Position(self.newest.load(Ordering::Acquire))
    }
}
