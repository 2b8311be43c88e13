//! The bounded queue in front of the committer, and the caller's side of a submission: a full queue
//! refuses at once, a deadline is honoured, and a caller that goes away stops nothing that has begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout_at;

use super::{CommitterMetrics, Limits, Receipt, Refusal, Submission};

/// The most that is kept back from a deadline for the way of a refusal to the caller. Most callers keep
/// their deadlines themselves, and would take a command for written of which they heard nothing.
const REFUSAL_MARGIN_MAX: Duration = Duration::from_millis(200);

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const ABANDONED: u8 = 2;

/// The answer to a submission.
pub(super) type Answer = Result<Vec<Receipt>, Refusal>;

/// The way into the committer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CommitQueue {
    entrance: Arc<Entrance>,
}

#[derive(Debug)]
struct Entrance {
    sender: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
    metrics: CommitterMetrics,
}

/// A submission in the queue or in a batch.
#[derive(Debug)]
pub(super) struct Queued {
    pub submission: Submission,
    answer: oneshot::Sender<Answer>,
    stage: Arc<AtomicU8>,
    /// Gives the bytes back when the submission is settled.
    _bytes: OwnedSemaphorePermit,
}

impl CommitQueue {
    pub(super) fn new(
        limits: &Limits,
        metrics: CommitterMetrics,
    ) -> (Self, mpsc::Receiver<Queued>) {
        let (sender, receiver) = mpsc::channel(limits.queue_submissions);
        let bytes = Arc::new(Semaphore::new(limits.queue_bytes));
        (Self { entrance: Arc::new(Entrance { sender, bytes, metrics }) }, receiver)
    }

    /// Submits and waits for the answer, at most until the submission's deadline; a little less if the
    /// committer has not begun by then.
    pub async fn submit(&self, submission: Submission) -> Answer {
        let deadline = submission.deadline;
        let weight = u32::try_from(submission.weight_bytes()).unwrap_or(u32::MAX);
        let bytes = Arc::clone(&self.entrance.bytes).try_acquire_many_owned(weight);
        let bytes = bytes.map_err(|_| Refusal::QueueFull)?;
        let (answer, mut answered) = oneshot::channel();
        let stage = Arc::new(AtomicU8::new(WAITING));
        let queued = Queued { submission, answer, stage: Arc::clone(&stage), _bytes: bytes };
        self.entrance.sender.try_send(queued).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::QueueFull,
            mpsc::error::TrySendError::Closed(_) => {
                Refusal::Unavailable("the server is shutting down".to_owned())
            }
        })?;
        self.entrance.metrics.queued();
        let outcome = match deadline {
            None => answered.await,
            Some(deadline) => {
                let last_moment = last_moment_before(deadline);
                match timeout_at(last_moment.into(), &mut answered).await {
                    Ok(outcome) => outcome,
                    Err(_) if abandon(&stage) => return Err(Refusal::DeadlineExceeded),
                    Err(_) => match timeout_at(deadline.into(), answered).await {
                        Ok(outcome) => outcome,
                        Err(_) => return Err(too_late(&stage)),
                    },
                }
            }
        };
        // A committer that died in the middle of a batch leaves its outcome unknown.
        outcome.unwrap_or_else(|_| Err(too_late(&stage)))
    }
}

/// When a refusal has to leave, to be there by the deadline.
fn last_moment_before(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline.checked_sub((left / 10).min(REFUSAL_MARGIN_MAX)).unwrap_or(deadline)
}

/// Whether the committer has not begun, and now never will.
fn abandon(stage: &AtomicU8) -> bool {
    stage.compare_exchange(WAITING, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

/// What to tell a caller whose time is over: if the committer has not begun, it never will.
fn too_late(stage: &AtomicU8) -> Refusal {
    if abandon(stage) { Refusal::DeadlineExceeded } else { Refusal::OutcomeUnknown }
}

impl Queued {
    /// Whether the caller still waits, so that the submission is worth a look.
    pub fn is_wanted(&self, now: Instant) -> bool {
        let expired = self.submission.deadline.is_some_and(|deadline| deadline <= now);
        !expired && !self.answer.is_closed() && self.stage.load(Ordering::Acquire) != ABANDONED
    }

    /// Takes the submission out of its caller's hands, for it is about to be sent to the log. False
    /// if the caller was told that its time is over: then it must not be written.
    pub fn begin(&self) -> bool {
        let swap = self.stage.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire);
        swap.map_or_else(|stage| stage == TAKEN, |_| true)
    }

    /// Gives the submission back into its caller's hands, if it was taken out: it was not written.
    pub fn give_back(&self) {
        // One that was not taken stays as it is.
        let _ = self.stage.compare_exchange(TAKEN, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Answers the caller, if it is still there.
    pub fn settle(self, answer: Answer) {
        let _ = self.answer.send(answer);
    }
}
