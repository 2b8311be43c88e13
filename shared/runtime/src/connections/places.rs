//! The places of one listener, and who gives its own to one more connection when all are taken: the one that
//! has been at rest longest. One with a call under way keeps its place.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::ConnectionLimits;
use crate::{
    calls::{Calls, Clock},
    metrics::{ConnectionMeter, Counted},
};

/// A connection has to be at rest for so many whole ticks of the clock.
const REST_TICKS: u32 = 10;

/// For so many places there may be one connection that has given its own away and is not gone yet.
const PLACES_PER_LEAVING: usize = 16;

/// All places of a listener.
pub(super) struct Places {
    max: usize,
    max_leaving: usize,
    tick: Duration,
    clock: Clock,
    meter: ConnectionMeter,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// Whoever has a place, by a tick since which it may have been at rest, and not since an earlier one. Where
    /// it had calls after that, this is seen only when it would be its turn to go.
    taken: BTreeMap<(u64, u64), Taker>,
    /// Of the connection that comes next.
    number: u64,
    leaving: usize,
}

/// A connection that has a place.
struct Taker {
    calls: Calls,
    leave: CancellationToken,
    /// The tick that it stands under.
    noted: Arc<AtomicU64>,
}

/// Held as long as a connection is open.
pub(super) struct Place {
    shared: Arc<Mutex<Shared>>,
    number: u64,
    noted: Arc<AtomicU64>,
    _counted: Counted,
}

impl Places {
    pub fn new(limits: &ConnectionLimits, meter: &ConnectionMeter) -> Self {
        Self {
            max: limits.max_connections,
            max_leaving: limits.max_connections.div_ceil(PLACES_PER_LEAVING),
            tick: (limits.displaced_after / REST_TICKS).max(Duration::from_millis(1)),
            clock: Clock::default(),
            meter: meter.clone(),
            shared: Arc::default(),
        }
    }

    /// How long a tick of the clock is, at least.
    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// What the rest of connections is counted by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A place for the connection with these calls, if one is free or can be made free. It hears by `leave`
    /// that another has it.
    pub fn take(&self, calls: &Calls, leave: &CancellationToken) -> Option<Place> {
        let now = self.clock.now();
        let mut shared = lock(&self.shared);
        if shared.taken.len() >= self.max {
            if shared.leaving >= self.max_leaving {
                return None;
            }
            shared.longest_at_rest(now)?.leave.cancel();
            shared.leaving += 1;
            self.meter.displaced.inc();
        }
        let (number, noted) = (shared.number, Arc::new(AtomicU64::new(now)));
        shared.number += 1;
        let (calls, leave) = (calls.clone(), leave.clone());
        shared.taken.insert((now, number), Taker { calls, leave, noted: Arc::clone(&noted) });
        Some(Place {
            shared: Arc::clone(&self.shared),
            number,
            noted,
            _counted: Counted::new(&self.meter.open),
        })
    }
}

impl Shared {
    /// Takes the place from whoever has been at rest longest, if that is long enough. Each connection is
    /// looked at once in that time at most, however many come.
    fn longest_at_rest(&mut self, now: u64) -> Option<Taker> {
        loop {
            let first = self.taken.first_entry()?;
            let (noted, number) = *first.key();
            // The tick in which it began does not count: nobody knows when within it that was.
            if now.saturating_sub(noted) <= u64::from(REST_TICKS) {
                return None;
            }
            let taker = first.remove();
            let since = taker.calls.none_since().unwrap_or(now);
            if since <= noted {
                return Some(taker);
            }
            taker.noted.store(since, Ordering::Relaxed);
            self.taken.insert((since, number), taker);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        let noted = self.noted.load(Ordering::Relaxed);
        if shared.taken.remove(&(noted, self.number)).is_none() {
            shared.leaving -= 1;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
