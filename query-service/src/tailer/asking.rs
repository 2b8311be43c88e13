//! How the store is asked: for a bounded time, and for smaller pages while it does not answer for large
//! ones in it. A start on a store that is slow would else ask for the same page for ever.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use configapi_domain::Position;
use configapi_event_log::{EventLog, LogError, Page, PageLimit};
use tokio::time::{Instant, timeout};

use super::trouble::Trouble;

/// How often a page is halved at most: from 8 MiB to 64 KiB. Smaller ones would only take longer.
const MAX_HALVINGS: u32 = 7;
/// A page that came within this part of the time that it may take might as well have been twice as large.
const QUICK_PART: u32 = 4;

/// Asks the store something, for a bounded time.
pub(super) async fn ask<T>(
    patience: Duration,
    question: impl Future<Output = Result<T, LogError>>,
) -> Result<T, Trouble> {
    match timeout(patience, question).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(LogError::Unavailable("it takes too long to answer".to_owned()).into()),
    }
}

/// Asks the store for pages. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    /// How long a page may take.
    patience: Duration,
    /// How often pages are halved.
    halvings: Arc<AtomicU32>,
}

impl Asking {
    pub fn new(patience: Duration) -> Self {
        Self { patience, halvings: Arc::default() }
    }

    /// Reads a page of at most this size. After one that took too long, the next ones are smaller.
    pub async fn page(
        &self,
        log: &dyn EventLog,
        from: Position,
        most: PageLimit,
    ) -> Result<Page, Trouble> {
        let halvings = self.halvings.load(Ordering::Relaxed);
        let limit = PageLimit::new(most.events() >> halvings, most.bytes() >> halvings);
        let began = Instant::now();
        let read = ask(self.patience, log.read(from, limit)).await;
        let took = began.elapsed();
        let halvings = match &read {
            // One that came sooner has nothing to do with how much was asked for.
            Err(_) if took >= self.patience => halvings.saturating_add(1).min(MAX_HALVINGS),
            // One that ended with the log says nothing of larger ones.
            Ok(page) if page.is_cut && took <= self.patience / QUICK_PART => {
                halvings.saturating_sub(1)
            }
            Ok(_) | Err(_) => halvings,
        };
        self.halvings.store(halvings, Ordering::Relaxed);
        read
    }
}
