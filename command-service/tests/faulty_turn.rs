//! A writer's turn that ends while it waits for something else, as a database ends one that is idle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use configapi_event_log::{EventLog, Head, LogError, StoredEvent, Turn};

/// A turn, as long as it lasts.
type Held = Arc<tokio::sync::Mutex<Option<Box<dyn Turn>>>>;

/// The turns of a log.
#[derive(Debug, Default)]
pub struct Turns {
    refuse: AtomicBool,
    end_at_look_ups: AtomicBool,
    last: Mutex<Option<Held>>,
    /// What somebody else writes as soon as one has ended.
    next: Mutex<Option<Next>>,
}

type Next = (Arc<dyn EventLog>, Head, StoredEvent);

/// A turn of one's own.
#[derive(Debug)]
pub struct FragileTurn(Held);

impl Turns {
    /// From now on none is given, or they are again.
    pub fn refuse(&self, refuse: bool) {
        self.refuse.store(refuse, Ordering::Release);
    }

    /// From now on they end when something is looked up.
    pub fn end_at_look_ups(&self) {
        self.end_at_look_ups.store(true, Ordering::Release);
    }

    /// Somebody waits for the next one to end, and appends then.
    pub fn let_pass(&self, log: Arc<dyn EventLog>, head: Head, row: StoredEvent) {
        *self.next.lock().unwrap() = Some((log, head, row));
    }

    pub fn keep(&self, turn: Box<dyn Turn>) -> Result<FragileTurn, LogError> {
        if self.refuse.load(Ordering::Acquire) {
            return Err(LogError::Unavailable("unreachable".to_owned()));
        }
        let held = Held::new(Some(turn).into());
        *self.last.lock().unwrap() = Some(Arc::clone(&held));
        Ok(FragileTurn(held))
    }

    /// Something is looked up.
    pub async fn look_up(&self) {
        if !self.end_at_look_ups.load(Ordering::Acquire) {
            return;
        }
        let last = self.last.lock().unwrap().take();
        let Some(held) = last else { return };
        let has_ended = held.lock().await.take().is_some();
        let next = self.next.lock().unwrap().take_if(|_| has_ended);
        if let Some((log, head, row)) = next {
            log.append(&head, &[row]).await.unwrap();
        }
    }
}

impl FragileTurn {
    /// The turn itself, which is over then.
    pub async fn take(&self) -> Result<Box<dyn Turn>, LogError> {
        let ended = || LogError::Unavailable("the turn was ended".to_owned());
        self.0.lock().await.take().ok_or_else(ended)
    }

    pub async fn give_back(&self, turn: Box<dyn Turn>) {
        *self.0.lock().await = Some(turn);
    }
}

impl Drop for FragileTurn {
    fn drop(&mut self) {
        // Nobody looks anything up for a turn that is being dropped.
        if let Ok(mut held) = self.0.try_lock() {
            held.take();
        }
    }
}
