//! What to do when the store did not say whether a batch was written: find out. Reading on from
//! the head tells. In our turn nobody can pass, so a batch that is not there can be appended again
//! without a second meaning: the same rows at the same positions can only be there once, and a
//! first try that is still under way then fails on the key.

use std::time::{Duration, Instant};

use configapi_event_log::{AppendError, Head, PageLimit, StoredEvent, Tail};

use super::worker::Worker;

/// What became of an ambiguous batch.
#[derive(Debug)]
pub(super) enum Resolution {
    /// It is in the log.
    Written,
    /// It is not, and never will be.
    NotWritten,
    /// Nobody could be asked in time, or the log changed.
    Unknown,
}

/// One look at the log.
enum Look {
    Settled(Resolution),
    /// The store could not be asked.
    NoAnswer,
}

impl Worker {
    /// Finds out whether `rows` were appended on `head`, within the limit. After that the outcome
    /// is unknown, and said to be.
    pub(super) async fn resolve(&mut self, head: Head, rows: &[StoredEvent]) -> Resolution {
        self.metrics.ambiguous();
        let give_up_at = Instant::now() + self.limits.resolve_for;
        let mut pause = self.limits.backoff_min;
        while Instant::now() < give_up_at {
            match self.look(head, rows).await {
                Look::Settled(resolution) => return resolution,
                Look::NoAnswer => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(self.limits.backoff_max);
        }
        tracing::warn!(position = head.position.0, "the outcome of a commit stays unknown");
        Resolution::Unknown
    }

    async fn look(&mut self, head: Head, rows: &[StoredEvent]) -> Look {
        let Ok(mut turn) = self.log.take_turn().await else { return Look::NoAnswer };
        let limit = PageLimit::new(rows.len() + 1, PageLimit::TAIL.bytes());
        let Ok(page) = turn.read(head.position, limit).await else { return Look::NoAnswer };
        let Ok(fresh) = Tail::after(head.position, head.hash).advance(page) else {
            // The head itself is gone: a tail was lost, perhaps with our batch in it.
            self.lost = Some(head);
            self.forget_head();
            return Look::Settled(Resolution::Unknown);
        };
        match (fresh.first(), rows.first()) {
            (Some(found), Some(ours)) if found.hash == ours.hash => {
                Look::Settled(Resolution::Written)
            }
            (Some(_), _) => Look::Settled(Resolution::NotWritten),
            (None, _) => match turn.append(&head, rows).await {
                Ok(()) => Look::Settled(Resolution::Written),
                // The head was there a moment ago, so it can only be gone with its epoch: what was
                // under way in the old one is over.
                Err(
                    AppendError::Refused(_) | AppendError::RequestIdTaken | AppendError::HeadGone,
                ) => Look::Settled(Resolution::NotWritten),
                Err(
                    AppendError::HeadMoved | AppendError::Unavailable(_) | AppendError::Unknown(_),
                ) => Look::NoAnswer,
            },
        }
    }

    /// A short pause before a batch that lost is tried again.
    pub(super) fn pause_after_loss(&self) -> Duration {
        self.limits.backoff_min
    }
}
