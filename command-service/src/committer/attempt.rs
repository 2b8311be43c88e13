//! One try to settle the next group of a batch: load what it needs to know, decide, append on the
//! very head that was decided on, answer.

use std::time::{Duration, Instant};

use configapi_domain::Timestamp;
use configapi_event_log::{AppendError, Head, StoredEvent, Turn};

use super::Refusal;
use super::batch::Batch;
use super::establish::unavailable;
use super::looking_up::Known;
use super::plan::{Pasts, Plan, Planner};
use super::resolve::Resolution;
use super::worker::Worker;
use crate::failpoints::{BEFORE_ANSWER, BEFORE_BEGIN};

/// How a try went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Some submissions are settled, or the next group is smaller.
    Forward,
    /// Another writer was faster, or the head is gone. Decide again.
    Lost,
}

impl Worker {
    /// Tries once. An error is the refusal of everything that is left of the batch.
    pub(super) async fn attempt(&mut self, batch: &mut Batch) -> Result<Step, Refusal> {
        self.establish().await?;
        let (turn, pasts) = self.take_turn_if_patient(batch).await?;
        let Some(head) = self.head else { return Ok(Step::Lost) };
        let mut planner = batch
            .take_head_start(head)
            .filter(|planner| self.is_recent(planner.recorded_at()))
            .unwrap_or_else(|| Planner::new(head, self.now(), self.limits.commit_bytes));
        planner.knowledge.pasts.extend(pasts);
        let decided_ahead = planner.decided_submissions();
        self.wait_for_loading(head, &mut planner.knowledge).await;
        let known = match self.look_up(batch, &mut planner).await? {
            Known::First(submissions) => submissions,
            Known::TooLarge(refusal) => {
                let recalled = self.recall_first(batch).await?;
                if recalled.is_empty() {
                    batch.refuse_first(1, &refusal);
                }
                settle_recalled(batch, recalled);
                return Ok(Step::Forward);
            }
        };
        // It may have been set while we waited for the store.
        if self.is_clock_in_doubt() {
            return Ok(Step::Lost);
        }
        // Look-ups may have taken long, and an event bears the time that it is decided at.
        if decided_ahead == 0 {
            planner.record_at(self.now());
        } else if !self.is_recent(planner.recorded_at()) {
            return Ok(Step::Lost);
        }
        let _ = batch
            .group()
            .take(known)
            .skip(decided_ahead)
            .all(|submission| planner.decide(submission));
        let (Plan { rows, verdicts, changed }, knowledge) = planner.finish();
        let asks_at = self.now();
        let recalled = self.recall_unwritten(head, batch, &verdicts).await?;
        if !recalled.is_empty() {
            settle_recalled(batch, recalled);
            return Ok(Step::Forward);
        }
        if rows.is_empty() {
            if !self.head_still_is(head, turn).await? {
                batch.lost_race = true;
                return Ok(Step::Lost);
            }
            batch.take_settled(verdicts).answer();
            return Ok(Step::Forward);
        }
        // To ask for repeats may have taken long too. It is not asked again on this head.
        if !self.is_recent(asks_at) {
            return Ok(Step::Lost);
        }
        BEFORE_BEGIN.pass().await.map_err(|error| Refusal::Unavailable(error.to_string()))?;
        if !batch.begin(&verdicts) {
            return Ok(Step::Forward);
        }
        let began = Instant::now();
        // What is left of the batch comes before the next one.
        let is_whole = verdicts.len() == batch.len();
        let mut appended = self.append(turn, head, &rows, is_whole.then_some(&knowledge)).await;
        if appended.is_ok() {
            let passed = BEFORE_ANSWER.pass().await;
            appended = passed.map_err(|error| AppendError::Unknown(error.to_string()));
        }
        let appended = match appended {
            Err(AppendError::Unknown(why)) => {
                tracing::warn!(reason = %why, "a commit was not answered");
                self.is_confirmed = false;
                match self.resolve(head, &rows).await {
                    Resolution::Written => Ok(()),
                    Resolution::NotWritten => Err(AppendError::HeadMoved),
                    Resolution::Unknown => {
                        self.refused_at = Some(Instant::now());
                        batch.refuse_unresolved(&verdicts, &why);
                        return Err(Refusal::Unavailable(why));
                    }
                }
            }
            other => other,
        };
        if let Err(error) = appended {
            batch.give_back();
            return self.after_refusal(batch, verdicts.len(), error).await;
        }
        self.metrics.committed(rows.len(), began.elapsed());
        self.refused_at = None;
        self.takes_no_appends = None;
        self.stand_at(head_after(head, &rows));
        for stream in &changed {
            if let Some(config) = knowledge.configs.get(stream) {
                self.aggregates.put(stream, config);
            }
        }
        self.owed = Some(batch.take_settled(verdicts));
        self.patient_batches = self.patient_batches.saturating_sub(1);
        batch.lost_race = false;
        Ok(Step::Forward)
    }

    /// Whether a time that events bear is still about the present.
    fn is_recent(&self, time: Timestamp) -> bool {
        let age_micros = self.now().0.saturating_sub(time.0);
        let age = Duration::from_micros(age_micros.max(0).unsigned_abs());
        age <= self.limits.head_start_max
    }

    /// A writer that lost lately waits for its turn, in which nobody can pass it. It looks up before what
    /// it needs to know: others wait for whoever has the turn, and a database ends one in which nothing
    /// happens for a while.
    async fn take_turn_if_patient(
        &mut self,
        batch: &Batch,
    ) -> Result<(Option<Box<dyn Turn>>, Pasts), Refusal> {
        if !batch.lost_race && self.patient_batches == 0 {
            return Ok((None, Pasts::new()));
        }
        let mut pasts = Pasts::new();
        if let Some(head) = self.head
            && self.has_to_look_up(batch)
        {
            let mut planner = Planner::new(head, self.now(), self.limits.commit_bytes);
            self.wait_for_loading(head, &mut planner.knowledge).await;
            self.look_up(batch, &mut planner).await?;
            pasts = planner.settled_pasts();
        }
        let epoch = self.head.map(|head| head.epoch);
        let turn = self.log.take_turn().await;
        let turn = turn.inspect_err(|_| self.refused_at = Some(Instant::now()));
        let mut turn = Some(turn.map_err(unavailable)?);
        self.catch_up(&mut turn).await?;
        // Some of it may have been in a tail that the log has lost since.
        if self.head.map(|head| head.epoch) != epoch {
            pasts.clear();
        }
        Ok((turn, pasts))
    }

    /// Refusals are answers too: they are true only if nobody appended meanwhile, which only who takes
    /// the writes can say. Having the turn is no proof: a database may have ended it.
    async fn head_still_is(
        &mut self,
        head: Head,
        turn: Option<Box<dyn Turn>>,
    ) -> Result<bool, Refusal> {
        let newest = self.newest_head().await?;
        if newest.hash == head.hash && newest.epoch == head.epoch {
            return Ok(true);
        }
        self.is_confirmed &= newest.epoch == head.epoch;
        // To catch up may take a turn of its own.
        drop(turn);
        self.catch_up(&mut None).await?;
        Ok(false)
    }

    async fn after_refusal(
        &mut self,
        batch: &mut Batch,
        planned: usize,
        error: AppendError,
    ) -> Result<Step, Refusal> {
        match error {
            AppendError::HeadMoved => {
                self.metrics.race_lost();
                batch.lost_race = true;
                self.patient_batches = self.limits.patient_batches;
                Ok(Step::Lost)
            }
            AppendError::HeadGone => {
                self.is_confirmed = false;
                tokio::time::sleep(self.pause_after_loss()).await;
                Ok(Step::Lost)
            }
            AppendError::RequestIdTaken => {
                let recalled = self.recall_group(batch).await?;
                if recalled.is_empty() {
                    return Ok(Step::Lost);
                }
                settle_recalled(batch, recalled);
                Ok(Step::Forward)
            }
            AppendError::Refused(why) if planned <= 1 => {
                tracing::error!(reason = %why, "the store refuses a command");
                batch.refuse_first(1, &Refusal::Broken(why));
                Ok(Step::Forward)
            }
            AppendError::Refused(_) => {
                batch.limit_group(planned / 2);
                Ok(Step::Forward)
            }
            AppendError::Unavailable(why) | AppendError::Unknown(why) => {
                self.refused_at = Some(Instant::now());
                Err(Refusal::Unavailable(why))
            }
        }
    }
}

/// The head once rows are in the log.
pub(super) fn head_after(head: Head, rows: &[StoredEvent]) -> Head {
    rows.last().map_or(head, |last| Head {
        epoch: head.epoch,
        position: last.position,
        hash: last.hash,
        recorded_at: last.recorded_at,
    })
}

/// Answers, from the last to the first so that the places stay right.
fn settle_recalled(batch: &mut Batch, mut recalled: Vec<(usize, super::queue::Answer)>) {
    recalled.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
    for (index, answer) in recalled {
        batch.settle_one(index, answer);
    }
}
