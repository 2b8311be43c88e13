//! The clock of an open loop. It runs on a thread of its own, because an asynchronous timer is only
//! as fine as a millisecond; it never waits for the server.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{
    Mutex,
    mpsc::{self, error::TrySendError},
};

use super::{Part, window::Window};

/// Requests that may be due and not yet sent. What finds no room counts as unsent.
const MAX_DUE: usize = 1 << 16;

/// Where the slots of a thread take their turns: each ticket is the moment when a request was due.
#[derive(Debug, Clone)]
pub(super) struct Tickets(Arc<Mutex<mpsc::Receiver<Instant>>>);

impl Tickets {
    /// The next request that is due; `None` once there will be no more.
    pub async fn next(&self) -> Option<Instant> {
        self.0.lock().await.recv().await
    }
}

/// The running clock.
#[derive(Debug)]
pub(super) struct Pacer(JoinHandle<u64>);

impl Pacer {
    /// Starts a thread's clock. The threads share the rate and take turns.
    pub fn start(window: Window, rate_per_second: f64, part: Part) -> (Self, Tickets) {
        let (sender, receiver) = mpsc::channel(MAX_DUE);
        let between_all = Duration::from_secs_f64(1.0 / rate_per_second);
        let between = between_all.saturating_mul(u32::try_from(part.of).unwrap_or(1));
        let first =
            window.begins + between_all.saturating_mul(u32::try_from(part.index).unwrap_or(0));
        let clock = thread::spawn(move || keep_time(window, first, between, &sender));
        (Self(clock), Tickets(Arc::new(Mutex::new(receiver))))
    }

    /// How many requests found no room; to be asked when the window is over.
    pub fn unsent(self) -> u64 {
        self.0.join().unwrap_or(0)
    }
}

fn keep_time(
    window: Window,
    first: Instant,
    between: Duration,
    sender: &mpsc::Sender<Instant>,
) -> u64 {
    let mut unsent = 0;
    for turn in 0_u32.. {
        let due = first + between.saturating_mul(turn);
        if due >= window.until {
            break;
        }
        let now = Instant::now();
        if due > now {
            thread::sleep(due - now);
        }
        match sender.try_send(due) {
            Ok(()) => {}
            Err(TrySendError::Full(_due)) => unsent += u64::from(window.holds(due)),
            Err(TrySendError::Closed(_due)) => break,
        }
    }
    unsent
}
