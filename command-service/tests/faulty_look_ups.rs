//! Look-ups of configs that are told when a test wants it, or fail.

use std::sync::Mutex;

use tokio::sync::Semaphore;

/// Look-ups of configs, and what becomes of them.
#[derive(Debug)]
pub struct LookUps {
    pub asked: Mutex<Vec<Vec<String>>>,
    pub fail: Mutex<bool>,
    pub gate: Semaphore,
    pub waiting: Semaphore,
}

impl LookUps {
    pub fn new() -> Self {
        Self {
            asked: Mutex::default(),
            fail: Mutex::default(),
            gate: Semaphore::new(1_000),
            waiting: Semaphore::new(0),
        }
    }

    pub async fn wait_to_tell(&self) {
        self.waiting.add_permits(1);
        drop(self.gate.acquire().await.unwrap());
    }
}
