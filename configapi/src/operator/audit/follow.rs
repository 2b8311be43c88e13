//! Follows the log by the rules of the tail, and hands over what is new. It takes no step that those
//! rules do not allow, and forgets a place only for one that is durable.

mod back;

use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{
    Asking, Epoch, EventLog, Head, Identity, Lineage, LogError, LogId, PageLimit, StoredEvent,
    Tail, TailError, decode, in_time, log_id_of,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::checkpoint::{Checkpoint, CheckpointFile};
use super::earlier::Earlier;
use super::place::Place;
use super::record::Writing;
use super::sink::{Delivery, Lines, Sink};
use super::trouble::{Trouble, opened_anew, wrong_log};
use crate::failure::Failure;
use crate::operator::store::{StoreArguments, now};

/// Records that are delivered together.
const BATCH_RECORDS: u64 = 100;
/// About the most bytes that are delivered together, unless one record is larger.
const BATCH_BYTES: usize = 1 << 20;
/// How long one question to the store may take.
const QUESTION_MAX: Duration = Duration::from_secs(30);
/// How long an idle log is left alone; a hint ends the wait sooner.
const POLL: Duration = Duration::from_millis(500);
/// The first pause after the store did not answer.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause after the store did not answer.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How a worker ended that was asked to, or was done.
#[derive(Debug)]
pub struct Ended {
    /// The event that was written last.
    pub position: Position,
    /// How many records were written since the start.
    pub records: u64,
    /// Whether a checkpoint says so.
    pub has_checkpoint: bool,
    /// Whether everything is written that was asked for.
    pub is_complete: bool,
}

/// What a step led to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Forward,
    Idle,
    /// The worker was asked to stop, and did.
    Stopped,
}

/// The one who follows.
pub struct Follower {
    log: Arc<dyn EventLog>,
    asking: Asking,
    store: StoreArguments,
    file: CheckpointFile,
    sink: Box<dyn Sink>,
    include_values: bool,
    board: Board,
}

impl Follower {
    pub fn new(
        log: Arc<dyn EventLog>,
        store: StoreArguments,
        file: CheckpointFile,
        sink: Box<dyn Sink>,
        include_values: bool,
        board: Board,
    ) -> Self {
        let asking = Asking::new(Asking::PATIENCE);
        Self { log, asking, store, file, sink, include_values, board }
    }

    /// Follows the log until it is asked to stop, or, with `is_once`, up to the head as it is at
    /// the start.
    pub async fn run(mut self, stop: &CancellationToken, is_once: bool) -> Result<Ended, Failure> {
        let mut place: Option<Place> = None;
        let mut target: Option<Head> = None;
        let mut pause = PAUSE_MIN;
        let mut is_silent = false;
        while !stop.is_cancelled() {
            let halvings = self.asking.halvings();
            match self.step(&mut place, &mut target, stop).await {
                Ok(taken) => {
                    if std::mem::take(&mut is_silent) {
                        tracing::info!("the log can be read again");
                    }
                    pause = PAUSE_MIN;
                    self.board.goes_on();
                    let position = place.as_ref().map(|place| place.tail.position());
                    let is_done = is_once && Place::has_all(place.as_ref(), target.as_ref());
                    if taken == Step::Stopped || is_done {
                        break;
                    }
                    if let (Step::Idle, Some(position)) = (taken, position) {
                        stop.run_until_cancelled(self.log.grown(position, POLL)).await;
                    }
                }
                Err(trouble) => {
                    let reason = self.obstacle(trouble, place.as_ref(), is_once).await?;
                    // Unless the next page will be smaller than one that took too long.
                    if is_once && self.asking.halvings() <= halvings {
                        return Err(Failure::try_again(format!("{}: {reason}", self.store.store)));
                    }
                    self.board.not_read(&reason);
                    if !std::mem::replace(&mut is_silent, true) {
                        tracing::warn!(%reason, "the log cannot be read");
                    }
                    stop.run_until_cancelled(sleep(pause)).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        let is_complete = !is_once || Place::has_all(place.as_ref(), target.as_ref());
        let position = place.map(|place| place.tail.position());
        Ok(Ended {
            position: position.unwrap_or(Position::GENESIS),
            records: self.board.records(),
            has_checkpoint: self.file.is_there(),
            is_complete,
        })
    }

    async fn step(
        &mut self,
        place: &mut Option<Place>,
        target: &mut Option<Head>,
        stop: &CancellationToken,
    ) -> Result<Step, Trouble> {
        let place = match place {
            Some(place) => place,
            none @ None => {
                *target = Some(self.ask(self.log.head()).await?);
                none.insert(self.begin().await?)
            }
        };
        if place.epoch != place.lineage.current() {
            return self.enter_epoch(place, stop).await;
        }
        if place.earlier.places().is_empty() {
            place.earlier = self.look_back(&place.tail, place.epoch).await?;
        }
        let asked_at = now();
        let page =
            self.ask(self.asking.page(&*self.log, place.tail.position(), PageLimit::TAIL)).await?;
        if page.epoch != place.epoch {
            let identity = self.ask(self.log.identity()).await?;
            self.learn(place, identity)?;
            return Ok(Step::Forward);
        }
        let (may_lag, whole_until) = (page.reach.may_lag(), page.reach.until(asked_at));
        let mut tail = place.tail.clone();
        match tail.advance(page) {
            Ok(rows) if rows.is_empty() => {
                if let Some(until) = whole_until {
                    self.board.complete_until(until);
                }
                Ok(Step::Idle)
            }
            Ok(rows) => self.hand_over(place, &rows, stop).await,
            Err(TailError::AnchorGone { .. }) => self.lost_anchor(place, may_lag).await,
            Err(error) => Err(self.fatal(&error.to_string())),
        }
    }

    /// Where to begin: where the checkpoint stands, or before the first event.
    async fn begin(&self) -> Result<Place, Trouble> {
        let saved = self.file.load().map_err(Trouble::Fatal)?;
        let identity = self.ask(self.log.identity()).await?;
        let writing = Writing { log_id: identity.log_id, include_values: self.include_values };
        if !identity.is_standby {
            self.must_hold_its_end(&identity.lineage).await?;
        }
        // Who begins with the first event is told of all epochs.
        let epoch = identity.lineage.epochs().first().map_or(Epoch::FIRST, |start| start.epoch);
        let Some(saved) = saved else {
            let (tail, _) = self.genesis(identity.log_id).await?;
            tracing::info!(log_id = %identity.log_id, "no checkpoint yet: from the first event on");
            let earlier = Earlier::default();
            return Ok(Place { writing, lineage: identity.lineage, epoch, tail, earlier });
        };
        if !saved.is_of(identity.log_id) {
            let id = identity.log_id;
            return Err(
                self.fatal(&format!("the checkpoint is of log {}, this is {id}", saved.log_id))
            );
        }
        tracing::info!(log_id = %identity.log_id, position = saved.tail.position().0, "going on");
        self.board.stands_at(saved.tail.position());
        let Checkpoint { epoch, tail, earlier, .. } = saved;
        let mut place = Place { writing, lineage: Lineage::unbroken(), epoch, tail, earlier };
        self.learn(&mut place, identity)?;
        Ok(place)
    }

    async fn genesis(&self, log_id: LogId) -> Result<(Tail, Timestamp), Trouble> {
        let page = self.ask(self.log.read(Position::GENESIS, PageLimit::new(1, 1))).await?;
        let genesis = page.events.first();
        match genesis.filter(|row| log_id_of(row) == Some(log_id)) {
            Some(row) => Ok((Tail::after(row.position, row.hash), row.recorded_at)),
            None => Err(self.fatal("the genesis row at position 0 is not as it was written")),
        }
    }

    /// Takes up what the store says of itself now.
    fn learn(&self, place: &mut Place, identity: Identity) -> Result<(), Trouble> {
        if identity.log_id != place.writing.log_id {
            return Err(self.fatal("the store holds another log than before"));
        }
        let current = identity.lineage.current();
        if current >= place.epoch {
            place.lineage = identity.lineage;
            return Ok(());
        }
        let epoch = place.epoch;
        if identity.is_standby {
            return Err(Trouble::Silent(format!("the standby has not heard of epoch {epoch} yet")));
        }
        Err(self.fatal(&format!(
            "the log is in epoch {current}, the checkpoint in {epoch}: this is an older copy"
        )))
    }

    /// The log is in a later epoch. Tells so, goes back to what was delivered and still holds if need be,
    /// and only then goes on.
    async fn enter_epoch(
        &mut self,
        place: &mut Place,
        stop: &CancellationToken,
    ) -> Result<Step, Trouble> {
        let (tail, recorded_at) = self.newest_held(place).await?;
        let (known, last) = (place.epoch, place.tail.position());
        let kept = place.lineage.kept_of(known, last);
        let back_to = tail.position();
        if back_to < last {
            tracing::warn!(
                position = last.0,
                kept = kept.0,
                back_to = back_to.0,
                "a new epoch says that the end of the log was lost; going back"
            );
            self.board.complete_until(recorded_at);
            place.earlier = self.look_back(&tail, place.lineage.current()).await?;
        }
        let void_from = (back_to < kept).then(|| back_to.next());
        let mut lines = Lines::default();
        for start in place.lineage.epochs().iter().filter(|start| start.epoch > known) {
            place.writing.epoch(*start, void_from, &mut lines.bytes);
            lines.count += 1;
        }
        if self.deliver(&lines, stop).await? == Delivery::GivenUp {
            return Ok(Step::Stopped);
        }
        place.tail = tail;
        place.epoch = place.lineage.current();
        self.save(place)?;
        Ok(Step::Forward)
    }

    /// The log does not hold the event that was written last. A standby may not have come to it yet, or to
    /// the epoch that says it is lost.
    async fn lost_anchor(&self, place: &mut Place, may_lag: bool) -> Result<Step, Trouble> {
        let identity = self.ask(self.log.identity()).await?;
        let is_same_epoch = identity.lineage.current() == place.epoch;
        self.learn(place, identity)?;
        if !is_same_epoch {
            return Ok(Step::Forward);
        }
        let position = place.tail.position();
        if may_lag {
            return Err(Trouble::Silent(format!(
                "the standby has not read this far yet, or has another event at position {position} and \
                 has not heard yet of the epoch that says so"
            )));
        }
        Err(self.fatal(&format!(
            "the log no longer holds the event at position {position} that was written as an \
             audit record, and no new epoch says so"
        )))
    }

    /// Delivers rows in batches, and saves the place after each.
    async fn hand_over(
        &mut self,
        place: &mut Place,
        rows: &[StoredEvent],
        stop: &CancellationToken,
    ) -> Result<Step, Trouble> {
        let mut lines = Lines::default();
        let mut begun = 0;
        for (index, row) in rows.iter().enumerate() {
            let bad = match decode(row) {
                Ok(recorded) => {
                    let epoch = place.epoch_of(row.position);
                    place.writing.event(&recorded, epoch, &mut lines.bytes);
                    lines.count += 1;
                    None
                }
                Err(error) => Some(error),
            };
            let end = if bad.is_some() { index } else { index + 1 };
            let is_full = lines.count >= BATCH_RECORDS || lines.bytes.len() >= BATCH_BYTES;
            let is_due = is_full || bad.is_some() || index + 1 == rows.len();
            let batch = &rows[begun..end];
            if let Some(done) = batch.last().filter(|_| is_due) {
                if self.deliver(&std::mem::take(&mut lines), stop).await? == Delivery::GivenUp {
                    return Ok(Step::Stopped);
                }
                begun = end;
                place.go_over(batch);
                self.save(place)?;
                self.board.complete_until(done.recorded_at);
            }
            if let Some(error) = bad {
                return Err(self.fatal(&error.to_string()));
            }
            if is_due && stop.is_cancelled() {
                return Ok(Step::Stopped);
            }
        }
        Ok(Step::Forward)
    }

    fn save(&self, place: &Place) -> Result<(), Trouble> {
        self.file.save(&place.checkpoint()).map_err(Trouble::Fatal)?;
        self.board.stands_at(place.tail.position());
        Ok(())
    }

    async fn deliver(
        &mut self,
        lines: &Lines,
        stop: &CancellationToken,
    ) -> Result<Delivery, Trouble> {
        let delivery = self.sink.deliver(lines, stop).await.map_err(Trouble::Fatal)?;
        if delivery == Delivery::Done {
            self.board.delivered(lines.count);
        }
        Ok(delivery)
    }

    /// Asks the store something, for a bounded time.
    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, LogError>>,
    ) -> Result<T, Trouble> {
        in_time(QUESTION_MAX, question).await.map_err(|error| match error {
            LogError::Unavailable(why) => Trouble::Silent(why),
            LogError::Unusable(why) => Trouble::Refused(why),
            LogError::Corrupt { .. } => self.fatal(&error.to_string()),
        })
    }

    /// What is in the way, if that may pass. A store that refuses is opened anew for the next step.
    async fn obstacle(
        &mut self,
        trouble: Trouble,
        place: Option<&Place>,
        is_once: bool,
    ) -> Result<String, Failure> {
        match (trouble, place) {
            (Trouble::Fatal(failure), _) => Err(failure),
            (Trouble::Refused(why), None) if is_once => Err(wrong_log(&self.store, &why)),
            (Trouble::Refused(why), Some(place)) => {
                let log = opened_anew(&self.store, place.writing.log_id).await?;
                self.log = log.unwrap_or_else(|| Arc::clone(&self.log));
                Ok(why)
            }
            (Trouble::Silent(why) | Trouble::Refused(why), _) => Ok(why),
        }
    }

    fn fatal(&self, why: &str) -> Trouble {
        Trouble::Fatal(wrong_log(&self.store, why))
    }
}
