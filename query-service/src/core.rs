//! What all questions need: the newest view, the wait for freshness, the limits and the counters.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::time::Instant;

use crate::board::Board;
use crate::freshness::Freshness;
use crate::limits::Limits;
use crate::metrics::QueryMetrics;

/// The read server behind its gRPC face.
#[derive(Debug)]
pub(crate) struct Core {
    pub board: Arc<Board>,
    pub freshness: Freshness,
    pub limits: Limits,
    pub metrics: QueryMetrics,
    /// Watches that are open.
    pub watchers: AtomicUsize,
    /// One state is digested at a time, because it takes a core for a while.
    pub digesting: Arc<tokio::sync::Semaphore>,
    pub started: Instant,
}

impl Core {
    pub fn new(limits: Limits, metrics: QueryMetrics) -> Self {
        let board = Arc::new(Board::new(metrics.clone()));
        Self {
            freshness: Freshness::new(Arc::clone(&board), &limits),
            board,
            limits,
            metrics,
            watchers: AtomicUsize::new(0),
            digesting: Arc::new(tokio::sync::Semaphore::new(1)),
            started: Instant::now(),
        }
    }
}
