//! Asking a log: for a bounded time, and for smaller pages while the store does not answer for large
//! ones in it. Whoever reads a log on a slow store would else ask for the same page for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use configapi_domain::Position;
use tokio::time::{Instant, timeout};

use crate::{EventLog, LogError, Page, PageLimit};

/// How often a page is halved at most: from 8 MiB to 64 KiB. Smaller ones would only take longer.
const MAX_HALVINGS: u32 = 7;
/// A page that came within this part of the time that it may take might as well have been twice as large.
const QUICK_PART: u32 = 4;

/// Asks a store something, for a bounded time.
pub async fn in_time<T>(
    patience: Duration,
    question: impl Future<Output = Result<T, LogError>>,
) -> Result<T, LogError> {
    let too_long = || LogError::Unavailable("it takes too long to answer".to_owned());
    timeout(patience, question).await.unwrap_or_else(|_| Err(too_long()))
}

/// How a log is asked for pages. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Asking {
    /// How long a page may take.
    patience: Duration,
    /// How often pages are halved.
    halvings: Arc<AtomicU32>,
}

impl Asking {
    /// How long a page may take, for who has no reason of its own. Stores give up later.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// For pages that may take so long each.
    pub fn new(patience: Duration) -> Self {
        Self { patience, halvings: Arc::default() }
    }

    /// How often pages are halved by now.
    pub fn halvings(&self) -> u32 {
        self.halvings.load(Ordering::Relaxed)
    }

    /// Reads a page of at most this size. After one that took too long, the next ones are smaller.
    pub async fn page(
        &self,
        log: &dyn EventLog,
        from: Position,
        most: PageLimit,
    ) -> Result<Page, LogError> {
        self.ask(most, |limit| log.read(from, limit)).await
    }

    /// The same for any that reads pages.
    pub async fn ask<R: Future<Output = Result<Page, LogError>>>(
        &self,
        most: PageLimit,
        read: impl FnOnce(PageLimit) -> R,
    ) -> Result<Page, LogError> {
        let halvings = self.halvings();
        let limit = PageLimit::new(most.events() >> halvings, most.bytes() >> halvings);
        let began = Instant::now();
        let read = in_time(self.patience, read(limit)).await;
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

    /// As [`Asking::page`], and asks again for less as long as there is less to ask for: for those who end
    /// with the first error.
    pub async fn page_or_less(
        &self,
        log: &dyn EventLog,
        from: Position,
        most: PageLimit,
    ) -> Result<Page, LogError> {
        loop {
            let halvings = self.halvings();
            let read = self.page(log, from, most).await;
            if read.is_ok() || self.halvings() <= halvings {
                return read;
            }
        }
    }
}
