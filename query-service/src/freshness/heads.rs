//! One question to the store answers all readers that wait for it. A question that was asked before
//! a read began proves nothing to that read, so readers wait for the answer to the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use configapi_event_log::{EventLog, Standing};
use tokio::sync::{Notify, watch};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::board::Board;

/// How often all tasks that are ready get their turn before a question leaves.
const YIELDS: u32 = 2;

/// The rounds of questions.
#[derive(Debug)]
pub(super) struct HeadRounds {
    /// How many questions have been asked. Counted before the question leaves.
    asked: AtomicU64,
    wanted: Notify,
    answers: watch::Sender<Answer>,
    question_max: Duration,
}

#[derive(Debug, Clone)]
struct Answer {
    round: u64,
    standing: Result<Standing, Untold>,
}

/// Why nobody knows what the store would say.
#[derive(Debug, Clone)]
pub(super) enum Untold {
    /// The store did not answer.
    ByStore(Arc<str>),
    /// Nobody asks any more, for the server is about to end.
    Ended,
}

/// No round comes after this one.
const LAST_ROUND: u64 = u64::MAX;

/// Answers all who wait, and all who ask later, once nobody asks any more.
struct Asking<'a>(&'a watch::Sender<Answer>);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.send_replace(Answer { round: LAST_ROUND, standing: Err(Untold::Ended) });
    }
}

impl HeadRounds {
    pub fn new(question_max: Duration) -> Self {
        let nothing = Answer { round: 0, standing: Err(Untold::ByStore("not asked yet".into())) };
        Self {
            asked: AtomicU64::new(0),
            wanted: Notify::new(),
            answers: watch::Sender::new(nothing),
            question_max,
        }
    }

    /// The head of the log, as the store told it to a question that was asked after this call, and
    /// whether the one who told it may lag behind.
    pub async fn ask(&self) -> Result<Standing, Untold> {
        let mut answers = self.answers.subscribe();
        let next = self.asked.load(Ordering::SeqCst) + 1;
        self.wanted.notify_one();
        match answers.wait_for(|answer| answer.round >= next).await {
            Ok(answer) => answer.standing.clone(),
            Err(_) => Err(Untold::Ended),
        }
    }

    /// Asks one question after the other, as long as somebody wants to know.
    pub async fn serve(&self, log: &dyn EventLog, board: &Board) {
        let _asking = Asking(&self.answers);
        loop {
            self.wanted.notified().await;
            // Who is ready to ask as well may still join this round: on an idle server that is
            // nobody and takes no time, on a busy one it saves most of the questions.
            for _ in 0..YIELDS {
                yield_now().await;
            }
            let round = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            let standing = match timeout(self.question_max, log.standing()).await {
                Ok(Ok(standing)) => Ok(standing),
                Ok(Err(error)) => Err(Untold::ByStore(error.to_string().into())),
                Err(_) => Err(Untold::ByStore("the store takes too long".into())),
            };
            if let Ok(standing) = &standing {
                board.asked_for_head(standing);
            }
            self.answers.send_replace(Answer { round, standing });
        }
    }
}
