//! Looking ahead: while a batch is on its way into the log, the next one is gathered, what nobody
//! knows of its configs is looked up, and it is decided as if the log had taken the one before. If it
//! has, the next batch leaves at once. If not, what was decided is void and decided anew: it stands
//! on a head that never came to be, so that the log would refuse it anyway.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use configapi_event_log::{AppendError, Head, StoredEvent, Turn};
use tokio::task::yield_now;

use super::aggregates::Aggregates;
use super::attempt::head_after;
use super::loading::{Found, Loading, found_by};
use super::plan::{Knowledge, Planner};
use super::worker::Worker;
use super::{Submission, WishedAction};

impl Worker {
    /// Appends rows. If it is told what will be known then, it gathers the next batch meanwhile, and
    /// decides it on the head that these rows make.
    pub(super) async fn append(
        &mut self,
        turn: Option<Box<dyn Turn>>,
        head: Head,
        rows: &[StoredEvent],
        knowledge: Option<&Knowledge>,
    ) -> Result<(), AppendError> {
        let log = Arc::clone(&self.log);
        let mut appending = pin!(async {
            match turn {
                Some(turn) => turn.append(&head, rows).await,
                None => log.append(&head, rows).await,
            }
        });
        let Some(knowledge) = knowledge else { return appending.await };
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = appending.as_mut() => break outcome,
                found = found_by(&mut self.loading) => {
                    self.learn_ahead(&found);
                    self.decide_ahead(head_after(head, rows), knowledge);
                }
                Some(first) = self.receiver.recv(), if !self.gathering.is_full(&self.limits) => {
                    // Who is ready as well has its turn first: one wake-up is enough for all.
                    yield_now().await;
                    self.gather(Some(first));
                    self.decide_ahead(head_after(head, rows), knowledge);
                }
            }
        };
        if outcome.is_err() {
            self.gathering.forget_decisions();
        }
        outcome
    }

    /// Takes in what a look-up found, if it was for the head that is decided on.
    fn learn_ahead(&mut self, found: &Found) {
        let loading = self.loading.take();
        let Some(mut planner) = self.gathering.planner.take() else { return };
        if loading.is_some_and(|loading| loading.is_for(planner.head())) {
            self.gathering.loaded_bytes += self.learn(found, &mut planner.knowledge);
        }
        self.gathering.planner = Some(planner);
    }

    /// Decides what was gathered, as far as all that it needs is known, and looks up the rest. A clock that
    /// may be wrong may be right again by when the batch leaves, and nobody would look at what it said now.
    fn decide_ahead(&mut self, head: Head, before: &Knowledge) {
        if self.is_clock_in_doubt() {
            return;
        }
        let (now, commit_bytes) = (self.now(), self.limits.commit_bytes);
        let mut planner =
            self.gathering.planner.take().unwrap_or_else(|| Planner::new(head, now, commit_bytes));
        for queued in self.gathering.entries().skip(planner.decided_submissions()) {
            let submission = &queued.submission;
            if !recollect(submission, &mut planner.knowledge, before, &mut self.aggregates)
                || !planner.decide(submission)
            {
                break;
            }
        }
        self.load_ahead(&planner, before);
        self.gathering.planner = Some(planner);
    }

    /// Looks up what nobody knows of the configs that were gathered since the last time, unless a
    /// look-up is under way.
    fn load_ahead(&mut self, planner: &Planner, before: &Knowledge) {
        if self.loading.is_some() || self.gathering.loaded_bytes > self.limits.commit_bytes {
            return;
        }
        let seen = self.gathering.looked_up.max(planner.decided_submissions());
        let (mut missing, mut looked_up) = (HashSet::new(), seen);
        for queued in self.gathering.entries().skip(seen) {
            if missing.len() >= self.limits.load_streams {
                break;
            }
            looked_up += 1;
            for wish in &queued.submission.wishes {
                let stream = wish.key.shared_stream();
                let is_known = planner.knowledge.configs.contains_key(&stream)
                    || before.configs.contains_key(&stream)
                    || self.aggregates.knows(&stream);
                if !is_known {
                    missing.insert(stream);
                }
            }
        }
        self.gathering.looked_up = looked_up;
        if !missing.is_empty() {
            let (log, streams) = (Arc::clone(&self.log), missing.into_iter().collect());
            self.loading = Some(Loading::begin(log, &self.limits, planner.head(), streams));
        }
    }
}

/// Whether all that a submission needs is known without asking the log.
fn recollect(
    submission: &Submission,
    knowledge: &mut Knowledge,
    before: &Knowledge,
    aggregates: &mut Aggregates,
) -> bool {
    submission.wishes.iter().all(|wish| {
        let stream = wish.key.shared_stream();
        if matches!(wish.action, WishedAction::Restore(Some(_))) {
            return false;
        }
        if knowledge.configs.contains_key(&stream) {
            return true;
        }
        let known = before.configs.get(&stream).cloned().or_else(|| aggregates.get(&stream));
        let is_known = known.is_some();
        knowledge.configs.extend(known.map(|config| (stream, config)));
        is_known
    })
}
