//! The events of one config, shared by all states that know it. A history only grows, and a state
//! sees of it what lies within the state's own position: that is what keeps states immutable
//! although nothing is copied when a config changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use configapi_domain::{ConfigKey, Position};

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
