//! Since when no call is under way on a connection, by a clock that goes so slowly that it costs nothing: a
//! call takes microseconds, and a look at the system's clock would be a part of that.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts ticks. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    /// Lets it go on by one tick.
    pub fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many ticks there were.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// When the rest of a connection began last.
#[derive(Debug, Default)]
pub(super) struct Rest {
    clock: Clock,
    since: AtomicU64,
}

impl Rest {
    /// One that begins now.
    pub fn new(clock: Clock) -> Self {
        let since = AtomicU64::new(clock.now());
        Self { clock, since }
    }

    pub fn begin(&self) {
        self.since.store(self.clock.now(), Ordering::Relaxed);
    }

    pub fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }
}
