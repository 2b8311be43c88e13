//! Follows the log and puts up what it makes of it. It takes no step that the rules of the tail do
//! not allow: what does not fit is never skipped, it ends the serving until the log is right again.

mod compared;
mod establish;
mod late;
mod pipeline;
mod trouble;
mod useless;

use std::sync::Arc;
use std::time::Duration;

use configapi_domain::{Position, Timestamp};
use configapi_event_log::{Asking, Epoch, EventLog, Hash, PageLimit, Tail, Texts};
use configapi_runtime::memory;
use tokio::time::Instant;

use self::pipeline::{Batch, Pages, understand};
use self::trouble::Trouble;
use self::useless::Useless;
use crate::board::Board;
use crate::clock;
use crate::failpoints::{AFTER_FETCH, MID_PAGE};
use crate::limits::Limits;
use crate::metrics::QueryMetrics;
use crate::projection::{Anchor, Approach, Decoded, GROUP, Projector};
use crate::snapshot::{Candidate, SnapshotDir};
use crate::view::{Condition, LogFacts, View, WholeUntil};

/// From how many events on a state is spread over so much memory that large pages are worth it. What
/// a process took in small ones before, and uses again, stays in them until the system puts them together.
const MANY_EVENTS: u64 = 1 << 13;

/// The one who follows the log. It alone changes what readers see.
#[derive(Debug)]
pub(crate) struct Tailer {
    log: Arc<dyn EventLog>,
    board: Arc<Board>,
    limits: Limits,
    asking: Asking,
    metrics: QueryMetrics,
    snapshots: Option<SnapshotDir>,
    /// A whole snapshot that proves that the log lost something, or is in an older epoch than it was.
    proof: Option<Candidate>,
    /// What a snapshot holds at a position up to which it is said to be right.
    held: Option<(Candidate, Position, Hash)>,
    /// Snapshots that a standby had not come to when it began, the one that holds least last.
    awaited: Vec<Candidate>,
    /// Snapshots that cannot be gone on from.
    useless: Useless,
    /// What was read so far, also while it may not be served.
    projector: Option<Projector>,
    texts: Texts,
    /// What the store said last about whose log it is; none if it has to be asked again.
    facts: Option<Arc<LogFacts>>,
    /// The newest epoch that the log was found in.
    newest_epoch: Epoch,
    /// Where the log ended when it was asked: nothing is served before that is reached.
    target: Position,
    generation: u64,
    is_serving: bool,
    /// The trouble that was told of last.
    trouble: Option<String>,
    /// Why nothing is served while all of the log is being read.
    reading: Arc<str>,
    /// When it was begun to read all of the log; none since that was served.
    began: Option<Instant>,
    /// When somebody last asked to look at once.
    awaited_at: Option<Instant>,
    /// Whether the last wait ended because the store said that there is more.
    was_hinted: bool,
}

/// What a step led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There was something new.
    Forward,
    /// There was nothing new.
    Idle,
}

impl Tailer {
    pub fn new(
        log: Arc<dyn EventLog>,
        board: Arc<Board>,
        limits: Limits,
        metrics: QueryMetrics,
        snapshots: Option<SnapshotDir>,
    ) -> Self {
        Self {
            log,
            board,
            limits,
            asking: Asking::new(limits.question_max),
            metrics,
            snapshots,
            proof: None,
            held: None,
            awaited: Vec::new(),
            useless: Useless::default(),
            projector: None,
            texts: Texts::default(),
            facts: None,
            newest_epoch: Epoch::FIRST,
            target: Position::GENESIS,
            generation: 0,
            is_serving: false,
            trouble: None,
            reading: "the log is being read".into(),
            began: Some(Instant::now()),
            awaited_at: None,
            was_hinted: false,
        }
    }

    /// Follows the log for ever.
    pub async fn run(mut self) {
        let mut patience = self.limits.poll_min;
        let mut pause = Duration::ZERO;
        loop {
            match self.step().await {
                Ok(step) => {
                    pause = Duration::ZERO;
                    patience = match step {
                        Step::Forward => self.limits.poll_min,
                        Step::Idle => (patience * 2).min(self.limits.poll_max),
                    };
                    self.wait(step, patience).await;
                }
                Err(trouble) => {
                    self.report(&trouble).await;
                    pause = (pause * 2).clamp(self.limits.backoff_min, self.limits.backoff_max);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Waits until the log may have grown, or somebody wants to know.
    async fn wait(&mut self, after: Step, patience: Duration) {
        let beyond = self.anchor().map_or(Position::GENESIS, |anchor| anchor.position);
        let pause = match after {
            // Small commits that follow each other closely cost less when they are read together.
            Step::Forward if !self.is_awaited() => self.limits.rest,
            // What was said in vain may be said again at once, and for ever.
            Step::Idle if self.was_hinted => self.limits.poll_min,
            Step::Forward | Step::Idle => Duration::ZERO,
        };
        let grown = async {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let began = Instant::now();
            self.log.grown(beyond, patience).await;
            began.elapsed() < patience
        };
        self.was_hinted = tokio::select! {
            is_hinted = grown => is_hinted,
            () = self.board.poked() => {
                self.awaited_at = Some(Instant::now());
                false
            }
        };
    }

    /// Whether somebody waits for what is new, or did lately and may again at any moment.
    fn is_awaited(&self) -> bool {
        let lately = |at: Instant| at.elapsed() < self.limits.awake;
        self.board.is_awaited() || self.awaited_at.is_some_and(lately)
    }

    fn anchor(&self) -> Option<Anchor> {
        self.projector.as_ref().map(|projector| projector.state().anchor())
    }

    async fn step(&mut self) -> Result<Step, Trouble> {
        self.board.asks();
        let (facts, anchor) = self.establish().await?;
        let tail = Tail::after(anchor.position, anchor.hash);
        let Anchor { position, hash, .. } = anchor;
        // What is at hand says nothing of what others have appended, nor of the epoch that it is in by now.
        let mut whole_until = None;
        let at_hand = self.log.at_hand(position, hash, PageLimit::TAIL);
        let page = if let Some(page) = at_hand.filter(|it| it.epoch == facts.lineage.current()) {
            page
        } else {
            let asked_at = clock::now();
            let page = self.asking.page(&*self.log, position, PageLimit::TAIL).await?;
            whole_until = page.reach.until(asked_at);
            page
        };
        let (batch, _) = understand(tail, page, facts.lineage.current(), &mut self.texts)?;
        let whole_until = whole_until.filter(|_| !batch.is_cut);
        if batch.is_cut {
            self.catch_up(&facts, batch).await?;
        } else {
            self.take(&facts, batch).await?;
        }
        self.settle(&facts, whole_until);
        let is_new = self.anchor().is_some_and(|now| now.position > anchor.position);
        Ok(if is_new { Step::Forward } else { Step::Idle })
    }

    /// Takes this page and all that follow. Before anything is served, this is a replay.
    async fn catch_up(&mut self, facts: &Arc<LogFacts>, first: Batch) -> Result<(), Trouble> {
        if let Some(projector) = self.projector.as_mut().filter(|_| !self.is_serving) {
            projector.begin_replay();
        }
        let caught_up = match self.take(facts, first).await {
            Ok(()) => self.take_pages(facts).await,
            Err(trouble) => Err(trouble),
        };
        if let Some(projector) = &mut self.projector {
            projector.end_replay();
        }
        caught_up
    }

    /// Takes page after page while the next ones are being fetched and understood.
    async fn take_pages(&mut self, facts: &Arc<LogFacts>) -> Result<(), Trouble> {
        let Some(anchor) = self.anchor() else { return Ok(()) };
        let log = Arc::clone(&self.log);
        let asking = self.asking.clone();
        let mut pages = Pages::start(log, anchor, facts.lineage.current(), asking);
        self.board.asks();
        while let Some(batch) = pages.next().await {
            self.take(facts, batch?).await?;
            if self.is_serving {
                self.settle(facts, None);
            } else {
                self.reads_on();
            }
            self.board.asks();
        }
        self.board.is_answered();
        Ok(())
    }

    /// Folds a page in, if it is of the epoch that was established.
    async fn take(&mut self, facts: &Arc<LogFacts>, batch: Batch) -> Result<(), Trouble> {
        if batch.epoch != facts.lineage.current() {
            self.facts = None;
            return Err(Trouble::EpochChanged);
        }
        if !batch.events.is_empty() {
            AFTER_FETCH.pass().await?;
        }
        self.fold(batch.events)?;
        self.compare(facts).await?;
        if let Some(anchor) = self.anchor() {
            self.board.heard_of(batch.epoch, anchor.position);
        }
        Ok(())
    }

    fn fold(&mut self, events: Vec<Decoded>) -> Result<(), Trouble> {
        let Some(projector) = &mut self.projector else { return Ok(()) };
        let mut approach = Approach::new(events.len());
        let mut events = events.into_iter();
        let mut is_first = true;
        while !events.as_slice().is_empty() {
            approach.go_on(projector.state(), events.as_slice());
            for event in events.by_ref().take(GROUP) {
                if !std::mem::take(&mut is_first) {
                    MID_PAGE.pass_blocking()?;
                }
                projector.apply(event)?;
            }
        }
        let state = projector.state();
        self.board.applied(state.anchor(), state.counts());
        Ok(())
    }

    /// Puts up what was read, if it may be served and is not up already. It holds all that was
    /// recorded by this time, if it was read to the end.
    fn settle(&mut self, facts: &Arc<LogFacts>, whole_until: Option<Timestamp>) {
        self.all_is_well();
        let Some(projector) = &self.projector else { return };
        let state = projector.state();
        let is_complete = state.position() >= self.target && state.ends_command();
        if !is_complete {
            return self.reads_on();
        }
        let view = self.board.view();
        if !self.is_serving {
            let position = state.position().0;
            if let Some(began) = self.began.take() {
                let took = began.elapsed();
                self.metrics.replayed(took);
                let seconds = took.as_secs_f64();
                tracing::info!(position, seconds, "caught up with the log; serving reads");
            } else {
                tracing::info!(position, "serving reads again");
            }
        } else if view.position() == state.position() && view.log == *facts {
            if let Some(whole_until) = whole_until {
                self.board.saw_end(&view, whole_until);
            }
            return;
        }
        self.is_serving = true;
        make_room_for(state.position());
        self.board.publish(View {
            state: state.clone(),
            log: Arc::clone(facts),
            condition: Condition::Serving,
            whole_until: WholeUntil::at(whole_until),
            generation: self.generation,
        });
    }
}

/// Sees to memory for all events up to a position. A start does not: large pages that nobody used for a
/// while have to be emptied first, or even fetched from a host, and it takes many at once.
fn make_room_for(end: Position) {
    if end.0 >= MANY_EVENTS {
        memory::hold_much();
    }
}
