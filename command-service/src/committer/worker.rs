//! The committer's one task: takes what has queued up, settles it, and looks after the store when
//! there is nothing to do.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use configapi_event_log::{Asking, EventLog, Head, Lineage, LogId, Verdict};
use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::aggregates::Aggregates;
use super::attempt::Step;
use super::batch::{Batch, Settled};
use super::gathering::Gathering;
use super::loading::Loading;
use super::queue::Queued;
use super::{CommitQueue, CommitterMetrics, Limits, Refusal};
use crate::clock::{Clock, ClockCheck};

/// How often all tasks that are ready get their turn before a batch leaves.
const YIELDS: u32 = 2;

/// Whether commands can be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreHealth {
    /// The store has not been reached yet.
    Starting,
    /// The store takes appends.
    Up,
    /// It does not; why.
    Down(String),
}

/// Both ends of a new committer.
#[derive(Debug)]
pub struct Committer {
    /// Where commands go in.
    pub queue: CommitQueue,
    /// What has to be run for them to be settled.
    pub worker: Worker,
    /// How the store does.
    pub health: watch::Receiver<StoreHealth>,
}

impl Committer {
    /// A committer on a log.
    pub fn new(
        log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        metrics: CommitterMetrics,
    ) -> Self {
        metrics.limits(&limits);
        let (queue, receiver) = CommitQueue::new(&limits, metrics.clone());
        let (health_sender, health) = watch::channel(StoreHealth::Starting);
        let worker = Worker {
            log,
            asking: Asking::new(limits.page_max),
            clock,
            limits,
            metrics,
            receiver,
            gathering: Gathering::default(),
            loading: None,
            health: health_sender,
            head: None,
            is_confirmed: false,
            clock_check: ClockCheck::default(),
            are_times_ahead: false,
            broken: None,
            lost: None,
            lineage: Lineage::unbroken(),
            told_head: None,
            refused_at: None,
            takes_no_appends: None,
            log_id: None,
            aggregates: Aggregates::new(limits.cache_bytes),
            owed: None,
            verdict: None,
            patient_batches: 0,
            batch_was: 0,
        };
        Self { queue, worker, health }
    }

    /// The same, which writes nothing unless one who reads the log in this process says that it is
    /// sound.
    #[must_use]
    pub fn heeding(mut self, verdict: watch::Receiver<Verdict>) -> Self {
        self.worker.verdict = Some(verdict);
        self
    }
}

/// The committer's task. It owns what it knows of the log; nobody else writes it.
#[derive(Debug)]
pub struct Worker {
    pub(super) log: Arc<dyn EventLog>,
    /// How it is asked for what others appended.
    pub(super) asking: Asking,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) metrics: CommitterMetrics,
    pub(super) receiver: mpsc::Receiver<Queued>,
    /// The next batch.
    pub(super) gathering: Gathering,
    /// What is being looked up for it, or was for one that came to nothing.
    pub(super) loading: Option<Loading>,
    health: watch::Sender<StoreHealth>,
    /// The head that decisions are made on.
    pub(super) head: Option<Head>,
    /// Whether the head was seen on the lineage that the store is on now.
    pub(super) is_confirmed: bool,
    /// When the clock was compared with the store's.
    pub(super) clock_check: ClockCheck,
    /// Whether the newest event's time lies far ahead of our clock, and that was told.
    pub(super) are_times_ahead: bool,
    /// Why this log must not be written any more.
    pub(super) broken: Option<String>,
    /// The head that was known and got lost. Only a log that holds it, or is in a later epoch, may be
    /// written.
    pub(super) lost: Option<Head>,
    pub(super) lineage: Lineage,
    /// The head that was told of last, as what is written after.
    pub(super) told_head: Option<Head>,
    /// When the store refused an append or a turn, or never said what became of one; none once it took
    /// an append.
    pub(super) refused_at: Option<Instant>,
    /// Why the store says that it takes no appends, until it takes one.
    pub(super) takes_no_appends: Option<String>,
    /// Which log this is, once it was reached.
    pub(super) log_id: Option<LogId>,
    pub(super) aggregates: Aggregates,
    /// What is in the log and not answered yet.
    pub(super) owed: Option<Settled>,
    /// What a reader in this process says of the log, if there is one.
    pub(super) verdict: Option<watch::Receiver<Verdict>>,
    /// How many batches still go the patient way, because others write too.
    pub(super) patient_batches: usize,
    /// How many submissions the last batch held.
    batch_was: usize,
}

impl Worker {
    /// Settles commands until every queue handle is gone.
    pub async fn run(mut self) {
        let mut pause = Duration::ZERO;
        // One timer for all batches: one more for each would wake the whole runtime each time.
        let mut probe = pin!(sleep(pause));
        let mut is_busy = false;
        loop {
            // What was gathered during the last commit leaves without waiting for more.
            let first = if self.gathering.is_empty() {
                tokio::select! {
                    biased;
                    first = self.receiver.recv() => {
                        if first.is_none() {
                            return;
                        }
                        self.let_others_join().await;
                        first
                    }
                    () = probe.as_mut() => {
                        // What was written since tells as much as a look would.
                        if !(std::mem::take(&mut is_busy) && self.is_confirmed) {
                            let outcome = self.look_after_store().await;
                            self.report_look(outcome.err().as_ref());
                        }
                        pause = self.next_probe(pause);
                        probe.as_mut().reset(tokio::time::Instant::now() + pause);
                        continue;
                    }
                }
            } else {
                None
            };
            self.gather(first);
            let batch = self.batch();
            self.settle(batch).await;
            // With nobody behind them there is nothing to wait for.
            if self.gathering.is_empty()
                && let Some(settled) = self.owed.take()
            {
                settled.answer();
            }
            is_busy = true;
            if !self.is_confirmed {
                pause = self.next_probe(pause);
                probe.as_mut().reset(tokio::time::Instant::now() + pause);
            }
        }
    }

    /// On a busy server, who has a command ready may still join the batch that is about to leave:
    /// a commit costs much the same for a few commands more. Who comes alone waits for nobody.
    async fn let_others_join(&self) {
        if self.batch_was > 1 {
            for _ in 0..YIELDS {
                yield_now().await;
            }
        }
    }

    /// The pause until the store is looked after again: regular while it is well, else growing
    /// from short to longer.
    fn next_probe(&self, pause: Duration) -> Duration {
        if self.is_confirmed {
            self.limits.probe_every
        } else {
            (pause * 2).clamp(self.limits.backoff_min, self.limits.backoff_max)
        }
    }

    /// Takes what has queued up, behind the first one if that was taken already, within the limits of
    /// a batch.
    pub(super) fn gather(&mut self, mut first: Option<Queued>) {
        let now = Instant::now();
        // Who was taken from the queue has no other place to be.
        while first.is_some() || !self.gathering.is_full(&self.limits) {
            let next = first.take().or_else(|| self.receiver.try_recv().ok());
            let Some(queued) = next else { break };
            self.metrics.taken();
            self.gathering.add(queued, now);
        }
    }

    /// The batch that was gathered.
    fn batch(&mut self) -> Batch {
        let batch = Batch::new(std::mem::take(&mut self.gathering));
        self.batch_was = batch.len();
        batch
    }

    /// Settles every submission of a batch, in order.
    async fn settle(&mut self, mut batch: Batch) {
        batch.observe(&self.metrics);
        let mut rounds_lost = 0;
        while !batch.is_empty() {
            match self.attempt_and_answer(&mut batch).await {
                Ok(Step::Forward) => rounds_lost = 0,
                Ok(Step::Lost) => {
                    rounds_lost += 1;
                    if rounds_lost > self.limits.rounds {
                        let why = "the head of the log kept moving; try again".to_owned();
                        batch.refuse_all(&Refusal::Unavailable(why));
                    }
                }
                Err(refusal) => {
                    batch.refuse_all(&refusal);
                    self.is_confirmed = false;
                    self.report(Some(&refusal));
                    return;
                }
            }
        }
        if self.is_confirmed && !self.is_refused() && self.takes_no_appends.is_none() {
            self.report(None);
        }
    }

    /// What a look at the store says of whether it can be written. That it can be read says nothing if it
    /// refused an append lately while it could be read; if it was away, it was refused for that.
    fn report_look(&mut self, trouble: Option<&Refusal>) {
        if trouble.is_some() {
            self.refused_at = None;
        }
        if let (None, Some(why)) = (trouble, self.takes_no_appends.clone()) {
            self.report(Some(&Refusal::Unavailable(why)));
            // It is asked again soon: who is told that nothing can be written may write nothing.
            self.is_confirmed = false;
        } else if !self.is_refused() {
            self.report(trouble);
        }
    }

    fn is_refused(&self) -> bool {
        self.refused_at.is_some_and(|at| at.elapsed() < self.limits.refused_for)
    }

    /// Tries once. Who is owed an answer from before gets it as soon as the try waits for something:
    /// nearly always the next rows are on their way by then, and need not wait for the answers.
    async fn attempt_and_answer(&mut self, batch: &mut Batch) -> Result<Step, Refusal> {
        let mut owed = self.owed.take();
        let mut attempt = pin!(self.attempt(batch));
        poll_fn(|context| {
            let polled = attempt.as_mut().poll(context);
            if let Some(settled) = owed.take() {
                settled.answer();
            }
            polled
        })
        .await
    }

    fn report(&self, trouble: Option<&Refusal>) {
        self.metrics.health(trouble);
        let now = match trouble {
            None => StoreHealth::Up,
            Some(refusal) => StoreHealth::Down(refusal.to_string()),
        };
        self.health.send_if_modified(|health| {
            if *health == now {
                return false;
            }
            match trouble {
                None => tracing::info!("the log can be written"),
                // Each start beside a reader comes by here.
                Some(refusal @ Refusal::NotCompared) => tracing::debug!("{refusal}"),
                Some(refusal) => tracing::warn!("{refusal}"),
            }
            *health = now;
            true
        });
    }
}
