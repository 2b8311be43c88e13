//! Where the committer stands in the log: finding the head, following what other writers appended,
//! and refusing a log that it must not write.

use std::sync::Arc;
use std::time::Duration;

use configapi_domain::{ConfigValue, Timestamp};
use configapi_event_log::{
    Epoch, Head, Identity, LogError, Page, PageLimit, StoredEvent, Tail, TailError, Turn, Verdict,
    decode,
};

use super::Refusal;
use super::worker::Worker;

/// How often the log is asked two questions until both answers are of one epoch, and the first is no older
/// than clocks may be apart.
pub(super) const EPOCH_TRIES: usize = 3;

impl Worker {
    /// Makes sure that the committer stands at a head of the lineage that the store is on now.
    pub(super) async fn establish(&mut self) -> Result<Head, Refusal> {
        if let Some(why) = &self.broken {
            return Err(Refusal::Broken(why.clone()));
        }
        let verdict = self.heed_verdict();
        let was_confirmed = self.is_confirmed && verdict.is_ok();
        self.is_confirmed = was_confirmed && !self.is_clock_in_doubt();
        if let (Some(head), true) = (self.head, self.is_confirmed) {
            return Ok(head);
        }
        let (identity, newest) = self.identity_and_head().await?;
        if self.head.is_some() {
            self.catch_up(&mut None).await?;
        }
        if self.head.is_some_and(|head| head.epoch > newest.epoch) {
            return Err(epoch_began());
        }
        // What was lost without a new epoch would give positions a second meaning.
        let is_short = identity.lineage.lost_by(newest.position).is_some();
        if is_short || self.is_lost_still(newest).await? {
            return Err(Refusal::LogChanged);
        }
        self.check_told_in_time(&identity.lineage).await?;
        verdict?;
        self.lost = None;
        // Without a place to follow from, what is remembered is worth nothing.
        let head = self.head.unwrap_or_else(|| {
            self.aggregates.clear();
            newest
        });
        self.enter(newest.epoch);
        let head = Head { epoch: newest.epoch, ..head };
        self.lineage = identity.lineage;
        if self.takes_no_appends.is_some() && identity.takes_no_appends.is_none() {
            self.refused_at = None;
        }
        self.takes_no_appends = identity.takes_no_appends;
        self.stand_at(head);
        self.look_at_times(head);
        self.is_confirmed = true;
        // While nothing can be written, each command comes by here; and one a minute, for the clock.
        let told = self.told_head.replace(head);
        let is_as_told = match told {
            Some(told) if was_confirmed => told.epoch == head.epoch,
            told => told == Some(head),
        };
        if !is_as_told {
            let (position, epoch) = (head.position.0, head.epoch.0);
            tracing::info!(position, epoch, "writing after the head");
        }
        Ok(head)
    }

    /// Which log it is, what became of it, and where it ends: two answers of one epoch.
    async fn identity_and_head(&mut self) -> Result<(Identity, Head), Refusal> {
        let mut refusal = epoch_began();
        for _ in 0..EPOCH_TRIES {
            let asked_at = self.clock.now();
            let identity = self.log.identity().await.map_err(unavailable)?;
            if identity.is_standby {
                return Err(standby());
            }
            if !self.compare_clocks(&identity, asked_at)? {
                refusal = told_too_late();
                continue;
            }
            self.log_id.get_or_insert(identity.log_id);
            self.check_log(&identity)?;
            let newest = self.newest_head().await?;
            if newest.epoch == identity.lineage.current() {
                return Ok((identity, newest));
            }
            refusal = epoch_began();
        }
        Err(refusal)
    }

    /// Whether it is the log that this server wrote, as far as it knows.
    pub(super) fn check_log(&self, identity: &Identity) -> Result<(), Refusal> {
        match self.log_id {
            Some(known) if known != identity.log_id => {
                Err(Refusal::AnotherLog { known, found: identity.log_id })
            }
            _ => Ok(()),
        }
    }

    /// What is known in this process of what the log held before is not written over.
    fn heed_verdict(&self) -> Result<(), Refusal> {
        let Some(verdict) = &self.verdict else { return Ok(()) };
        match &*verdict.borrow() {
            Verdict::Sound => Ok(()),
            Verdict::Open => Err(Refusal::NotCompared),
            Verdict::Refused(why) => Err(Refusal::LogRefused(Arc::clone(why))),
        }
    }

    /// Whether the log that ends here lacks a head that was known, and no new epoch says so.
    async fn is_lost_still(&self, newest: Head) -> Result<bool, Refusal> {
        let Some(lost) = self.lost.filter(|lost| newest.epoch <= lost.epoch) else {
            return Ok(false);
        };
        let page = self.log.read(lost.position, PageLimit::new(1, 1)).await.map_err(unavailable)?;
        Ok(page.events.first().is_none_or(|row| row.hash != lost.hash))
    }

    /// Refuses a clock that is off from the store's. False if nobody can say: our clock has moved so much
    /// since the store was asked that the answer may have been right when it was given.
    fn compare_clocks(
        &mut self,
        identity: &Identity,
        asked_at: Timestamp,
    ) -> Result<bool, Refusal> {
        let now = self.clock.now();
        if let Some(store_time) = identity.store_time {
            let apart = |one: Timestamp, other: Timestamp| u128::from(one.0.abs_diff(other.0));
            let skew = apart(now, store_time);
            let max = self.limits.clock_skew_max.as_micros();
            if skew > max + apart(now, asked_at) {
                return Err(Refusal::Unavailable(format!(
                    "the clock of this server is {} ms off from the store's; set it right",
                    skew / 1_000
                )));
            }
            if skew > max {
                return Ok(false);
            }
        }
        self.clock_check.found_right(now);
        Ok(true)
    }

    /// Times never run backwards: what is recorded bears the head's time until our clock has come that far.
    /// If a clock was far ahead once that may be years, so it is told.
    fn look_at_times(&mut self, head: Head) {
        let ahead_micros = head.recorded_at.0.saturating_sub(self.clock.now().0).max(0);
        let ahead = Duration::from_micros(ahead_micros.unsigned_abs());
        let was_told =
            std::mem::replace(&mut self.are_times_ahead, ahead > self.limits.times_ahead_max);
        if self.are_times_ahead && !was_told {
            tracing::warn!(
                position = head.position.0,
                ahead_seconds = ahead.as_secs(),
                "the newest event bears a time ahead of this server's clock, and until then all others will"
            );
        }
    }

    /// Where the log ends, as the store has it that takes the writes: another may lag behind.
    pub(super) async fn newest_head(&self) -> Result<Head, Refusal> {
        let standing = self.log.standing().await.map_err(unavailable)?;
        if standing.is_standby { Err(standby()) } else { Ok(standing.head) }
    }

    pub(super) fn stand_at(&mut self, head: Head) {
        self.metrics.head(head.position.0);
        self.head = Some(head);
    }

    /// Follows the log from the head that is known to the one there is, and brings what is
    /// remembered up to date. If the known head is gone, so is everything remembered; only a turn is
    /// believed that, because a standby that lags behind does not have it either.
    pub(super) async fn catch_up(
        &mut self,
        turn: &mut Option<Box<dyn Turn>>,
    ) -> Result<(), Refusal> {
        while let Some(head) = self.head {
            let read = match turn {
                Some(turn) => {
                    self.asking.ask(PageLimit::TAIL, |limit| turn.read(head.position, limit)).await
                }
                None => self.asking.page(&*self.log, head.position, PageLimit::TAIL).await,
            };
            let page = read.map_err(unavailable)?;
            let is_there = page.events.first().is_some_and(|row| row.hash == head.hash);
            if turn.is_none() && !is_there {
                *turn = Some(self.log.take_turn().await.map_err(unavailable)?);
                continue;
            }
            let is_cut = page.is_cut;
            self.follow(head, page)?;
            if !is_cut {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes one page of what others appended.
    pub(super) fn follow(&mut self, head: Head, page: Page) -> Result<(), Refusal> {
        let epoch = page.epoch;
        let mut tail = Tail::after(head.position, head.hash);
        let fresh = match tail.advance(page) {
            Ok(fresh) => fresh,
            Err(TailError::AnchorGone { position }) => {
                tracing::warn!(position = position.0, "the log lost the head that was known");
                self.lost = Some(head);
                self.forget_head();
                return Ok(());
            }
            Err(error) => return Err(self.give_up(error.to_string())),
        };
        self.enter(epoch);
        for row in &fresh {
            self.remember(row);
        }
        if let Some(last) = fresh.last() {
            let (position, hash, recorded_at) = (last.position, last.hash, last.recorded_at);
            self.stand_at(Head { epoch, position, hash, recorded_at });
        }
        Ok(())
    }

    /// Takes notice of the epoch that the log is in. In a new one the head may still be there, and what
    /// others appended after it be lost. That was looked up too, so nothing is remembered; and which
    /// epochs there are is asked again before anything is told of them.
    fn enter(&mut self, epoch: Epoch) {
        if self.head.is_some_and(|head| head.epoch != epoch) {
            self.aggregates.clear();
            self.is_confirmed = false;
        }
    }

    pub(super) fn forget_head(&mut self) {
        self.head = None;
        self.is_confirmed = false;
        self.aggregates.clear();
    }

    /// From now on nothing is written: the log is not what it was.
    fn give_up(&mut self, why: String) -> Refusal {
        tracing::error!(reason = %why, "the log is broken; nothing is written any more");
        self.broken = Some(why.clone());
        self.is_confirmed = false;
        Refusal::Broken(why)
    }

    fn remember(&mut self, row: &StoredEvent) {
        match decode(row) {
            Ok(recorded) => {
                let config = ConfigValue::after(recorded.version, &recorded.event);
                self.aggregates.refresh(&row.stream, &config);
            }
            Err(error) => {
                // Nothing is decided over an event that cannot be read: the next command on this
                // config looks its newest event up, and is refused with this error.
                tracing::error!(%error, "an event cannot be read");
                self.aggregates.forget(&row.stream);
            }
        }
    }

    /// When nothing is to do: is the store still there, and did others append?
    pub(super) async fn look_after_store(&mut self) -> Result<(), Refusal> {
        let established = self.establish().await;
        let outcome = match established {
            Ok(head) => match self.newest_head().await {
                Ok(newest) if newest.epoch != head.epoch => {
                    self.is_confirmed = false;
                    self.establish().await.map(|_| ())
                }
                Ok(newest) if newest.hash != head.hash => self.catch_up(&mut None).await,
                Ok(_) => Ok(()),
                Err(refusal) => Err(refusal),
            },
            Err(refusal) => Err(refusal),
        };
        if outcome.is_err() {
            self.is_confirmed = false;
        }
        outcome
    }

    /// Whether the clock may be wrong, so that nothing must be recorded with its time.
    pub(super) fn is_clock_in_doubt(&self) -> bool {
        self.clock_check.is_due(self.clock.now(), self.limits.clock_skew_max)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// What was asked before it began says nothing of it.
pub(super) fn epoch_began() -> Refusal {
    Refusal::Unavailable("an epoch began while the log was looked at".to_owned())
}

/// Its clock and ours may agree, and may not.
fn told_too_late() -> Refusal {
    Refusal::Unavailable("the store answers too slowly to compare clocks with it".to_owned())
}

/// Another server takes the writes, and knows more.
pub(super) fn standby() -> Refusal {
    Refusal::Unavailable("the store is a read-only standby".to_owned())
}

/// A store that cannot be read cannot be written either: nothing was.
pub(super) fn unavailable(error: LogError) -> Refusal {
    match error {
        LogError::Unavailable(why) | LogError::Unusable(why) => Refusal::Unavailable(why),
        LogError::Corrupt { .. } => Refusal::Broken(error.to_string()),
    }
}
