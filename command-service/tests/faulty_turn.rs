//! A writer's turn that ends while it waits for something else, as a database ends one that is idle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use configapi_event_log::{LogError, Turn};

/// A turn, as long as it lasts.
type Held = Arc<tokio::sync::Mutex<Option<Box<dyn Turn>>>>;

/// The turns of a log.
#[derive(Debug, Default)]
pub struct Turns {
    end_at_look_ups: AtomicBool,
    last: Mutex<Option<Held>>,
}

/// A turn of one's own.
#[derive(Debug)]
pub struct FragileTurn(Held);

impl Turns {
    /// From now on.
    pub fn end_at_look_ups(&self) {
        self.end_at_look_ups.store(true, Ordering::Release);
    }

    pub fn keep(&self, turn: Box<dyn Turn>) -> FragileTurn {
        let held = Held::new(Some(turn).into());
        *self.last.lock().unwrap() = Some(Arc::clone(&held));
        FragileTurn(held)
    }

    /// Something is looked up.
    pub async fn look_up(&self) {
        let last = self.last.lock().unwrap().clone();
        if let Some(held) = last.filter(|_| self.end_at_look_ups.load(Ordering::Acquire)) {
            held.lock().await.take();
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
