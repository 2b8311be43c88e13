//! Getting to know, while a commit is under way, the configs that the next batch names and nobody
//! here knows. What is read counts for the one head that it was read for, and for no other.

use std::sync::Arc;

use configapi_event_log::{EventLog, Head, LogError, StoredEvent};
use tokio::task::JoinHandle;

use super::Limits;

/// A look-up that is under way. It has a task of its own, so that one that is of no use any more ends
/// in peace: cut off, it would take its connection along.
#[derive(Debug)]
pub(super) struct Loading {
    head: Head,
    found: JoinHandle<Result<Found, LogError>>,
}

/// What is known of some streams.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Which streams were asked for.
    pub streams: Vec<Arc<str>>,
    /// The newest event of each of them that has one.
    pub rows: Vec<StoredEvent>,
}

impl Loading {
    /// Begins to look up streams, for decisions on this head.
    pub fn begin(
        log: Arc<dyn EventLog>,
        limits: &Limits,
        head: Head,
        streams: Vec<Arc<str>>,
    ) -> Self {
        let (at_once, limit_bytes) = (limits.load_streams, limits.commit_bytes);
        let found = tokio::spawn(async move {
            let mut found = Found::default();
            let mut bytes = 0;
            for chunk in streams.chunks(at_once) {
                // More than a commit can hold would be of no use.
                if bytes > limit_bytes {
                    break;
                }
                let asked: Vec<&str> = chunk.iter().map(|stream| &**stream).collect();
                let rows = log.newest(&asked).await?;
                bytes += rows.iter().map(StoredEvent::weight_bytes).sum::<usize>();
                found.streams.extend_from_slice(chunk);
                found.rows.extend(rows);
            }
            Ok(found)
        });
        Self { head, found }
    }

    /// Whether it was begun for decisions on this head.
    pub fn is_for(&self, head: Head) -> bool {
        self.head == head
    }

    /// What was found. If the look-up failed that is nothing: whoever needs to know asks again, and
    /// is told what is wrong.
    pub async fn found(&mut self) -> Found {
        match (&mut self.found).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Found::default(),
        }
    }
}
