//! How many bulk streams may be open, and who has to go when one more comes: whoever has waited longest
//! for its client. One that has work under way keeps its place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// Streams at once.
pub(crate) const MAX_STREAMS: usize = 64;

/// The places of all streams of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Seats(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    taken: Mutex<Vec<Arc<Place>>>,
    /// How long a stream may wait for its client and be left its place all the same.
    patience: Duration,
}

#[derive(Debug)]
struct Place {
    /// Since when its stream waits for its client; none while the client waits for us.
    idle_since: Mutex<Option<Instant>>,
    /// Another has it now.
    given_away: CancellationToken,
}

impl Seats {
    /// Places of which one is given away if its client was waited for so long and another wants it.
    pub(crate) fn new(patience: Duration) -> Self {
        Self(Arc::new(Shared { taken: Mutex::default(), patience }))
    }

    /// A place, if one is free or can be made free. Its stream waits for its client from the beginning.
    pub(crate) fn take(&self) -> Option<Seat> {
        let now = Instant::now();
        let mut taken = lock(&self.0.taken);
        if taken.len() >= MAX_STREAMS {
            let idle = taken.iter().enumerate();
            let idle = idle.filter_map(|(at, place)| Some(((*lock(&place.idle_since))?, at)));
            let (since, at) = idle.min()?;
            if now.duration_since(since) < self.0.patience {
                return None;
            }
            taken.swap_remove(at).given_away.cancel();
        }
        let idle_since = Mutex::new(Some(now));
        let place = Arc::new(Place { idle_since, given_away: CancellationToken::new() });
        taken.push(Arc::clone(&place));
        Some(Seat { shared: Arc::clone(&self.0), place, is_idle: true })
    }
}

/// Held as long as a stream is open.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    place: Arc<Place>,
    is_idle: bool,
}

impl Seat {
    /// Notes whether the stream waits for its client.
    pub(crate) fn set_idle(&mut self, is_idle: bool) {
        if std::mem::replace(&mut self.is_idle, is_idle) != is_idle {
            *lock(&self.place.idle_since) = is_idle.then(Instant::now);
        }
    }

    /// Ends when another has the place.
    pub(crate) fn given_away(&self) -> WaitForCancellationFuture<'_> {
        self.place.given_away.cancelled()
    }

    /// For how long a client may keep a stream waiting that others want the place of.
    pub(crate) fn patience(&self) -> Duration {
        self.shared.patience
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.shared.taken).retain(|place| !Arc::ptr_eq(place, &self.place));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
