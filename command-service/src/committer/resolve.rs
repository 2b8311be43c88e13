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
        let mut tail = Tail::after(head.position, head.hash);
        // Another writer's batch may begin like ours, so each row counts.
        let mut ours = rows;
        let mut is_cut = true;
        while is_cut && !ours.is_empty() {
            let limit = PageLimit::new(ours.len() + 1, PageLimit::TAIL.bytes());
            let Ok(page) = turn.read(tail.position(), limit).await else { return Look::NoAnswer };
            is_cut = page.is_cut;
            let Ok(fresh) = tail.advance(page) else {
                // The head itself is gone: a tail was lost, perhaps with our batch in it.
                self.lost = Some(head);
                self.forget_head();
                return Look::Settled(Resolution::Unknown);
            };
            let alike = fresh.iter().zip(ours).take_while(|(found, ours)| found.hash == ours.hash);
            let found = alike.count();
            if found < fresh.len().min(ours.len()) {
                return Look::Settled(Resolution::NotWritten);
            }
            ours = &ours[found..];
        }
        if ours.is_empty() {
            return Look::Settled(Resolution::Written);
        }
        if ours.len() < rows.len() {
            return Look::Settled(Resolution::NotWritten);
        }
        match turn.append(&head, rows).await {
            Ok(()) => Look::Settled(Resolution::Written),
            // The head was there a moment ago, so it can only be gone with its epoch: what was
            // under way in the old one is over.
            Err(AppendError::Refused(_) | AppendError::RequestIdTaken | AppendError::HeadGone) => {
                Look::Settled(Resolution::NotWritten)
            }
            Err(AppendError::HeadMoved | AppendError::Unavailable(_) | AppendError::Unknown(_)) => {
                Look::NoAnswer
            }
        }
    }

    /// A short pause before a batch that lost is tried again.
    pub(super) fn pause_after_loss(&self) -> Duration {
        self.limits.backoff_min
    }
}
