//! Whether a call has its place among those that wait for their answer, and until when its request must
//! have come. A call has a place from when its request has come to its end until its answer begins.

use std::{
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::Connection;
use crate::arrivals::FEW;

/// It has no place yet.
const OUTSIDE: u8 = 0;
/// It has a place.
const WAITING: u8 = 1;
/// It needs none.
const FREE: u8 = 2;

/// What is known of one call before its answer.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    place: AtomicU8,
    /// By how much sooner than the answer the next of the request must have come.
    sooner_ms: AtomicU32,
}

impl Waiting {
    /// Takes a place, if there is one. Half of them are for connections with few calls that wait.
    pub fn begin(&self, connection: &Connection) -> bool {
        if self.place.load(Ordering::Relaxed) == FREE {
            return true;
        }
        let Connection { shared, waiting, sends_frames, .. } = connection;
        let of_connection = waiting.fetch_add(1, Ordering::Relaxed);
        let before = shared.waiting.fetch_add(1, Ordering::Relaxed);
        let max = shared.limits.max_waiting_calls;
        // Within a process there are no clients to be told apart.
        let has_few = of_connection < FEW || !sends_frames;
        let has_room = before < if has_few { max } else { max / 2 };
        // It may have a place already, or have ended meanwhile, which is not to be undone.
        let takes_place = || {
            let (old, new) = (OUTSIDE, WAITING);
            self.place.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if !has_room || !takes_place() {
            give_back(connection);
        }
        has_room
    }

    /// Gives the place back, if it has one, and needs none from now on.
    pub fn end(&self, connection: &Connection) {
        if self.place.load(Ordering::Relaxed) != FREE
            && self.place.swap(FREE, Ordering::Relaxed) == WAITING
        {
            give_back(connection);
        }
    }

    /// The next of the request must come by then.
    pub fn is_coming(&self, by: Instant, deadline: Instant) {
        let sooner_ms = deadline.saturating_duration_since(by).as_millis();
        self.sooner_ms.store(u32::try_from(sooner_ms).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Nothing of the request is waited for any more.
    pub fn has_come(&self) {
        self.sooner_ms.store(0, Ordering::Relaxed);
    }

    /// Until when the answer is waited for, or the next of the request.
    pub fn until(&self, deadline: Instant) -> Instant {
        match self.sooner_ms.load(Ordering::Relaxed) {
            0 => deadline,
            sooner_ms => deadline - Duration::from_millis(sooner_ms.into()),
        }
    }
}

fn give_back(connection: &Connection) {
    for waiting in [&connection.waiting, &connection.shared.waiting] {
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
