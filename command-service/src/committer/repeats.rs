//! Repeated requests: the log knows every request id it ever saw, and a repeat gets the first
//! answer, however late it comes and whichever server it comes through.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use configapi_domain::{Position, RequestId};
use configapi_event_log::{
    Epoch, Fingerprint, Head, Lineage, RequestKey, Requested, StoredEvent, decode,
};

use super::batch::Batch;
use super::establish::{EPOCH_TRIES, epoch_began, standby, unavailable};
use super::plan::{Verdict, cannot_read};
use super::queue::Answer;
use super::worker::Worker;
use super::{Receipt, Refusal, Submission};

/// What was asked for under a request id, and what was answered if that is asked for now.
struct First {
    fingerprint: Fingerprint,
    receipts: Vec<Receipt>,
}

/// The same for each id; of one with an event that cannot be read here, why that is so.
type Firsts = HashMap<Arc<str>, Result<First, String>>;

impl Worker {
    /// Before keyed submissions are refused by a rule, for what they would weigh by now, or because their
    /// config cannot be read any more: were they accepted once before? Then all was well, and the first
    /// receipt is the answer. So it is to those that are only to be validated: nothing will be written that
    /// would show that the id is taken. What was answered before on this head is not asked again.
    pub(super) async fn recall_unwritten(
        &self,
        head: Head,
        batch: &mut Batch,
        verdicts: &[Verdict],
    ) -> Result<Vec<(usize, Answer)>, Refusal> {
        let unwritten: Vec<_> = batch
            .group()
            .enumerate()
            .zip(verdicts)
            .filter(|((_, submission), verdict)| is_to_be_recalled(submission, verdict))
            .map(|(entry, _)| entry)
            .filter(|(_, submission)| !batch.is_known_new(head, submission))
            .collect();
        let recalled = self.recall(unwritten.iter().copied()).await?;
        if recalled.is_empty() {
            let requests = unwritten.iter().filter_map(|(_, it)| it.request.as_ref());
            let ids: Vec<RequestId> = requests.map(|request| request.id.clone()).collect();
            batch.note_new(head, ids);
        }
        Ok(recalled)
    }

    /// As [`Self::recall_unwritten`], for a first submission that needs too much to be decided at all.
    pub(super) async fn recall_first(
        &self,
        batch: &Batch,
    ) -> Result<Vec<(usize, Answer)>, Refusal> {
        self.recall(batch.group().enumerate().take(1)).await
    }

    /// The answers to those submissions of the group that are in the log already.
    pub(super) async fn recall_group(
        &self,
        batch: &Batch,
    ) -> Result<Vec<(usize, Answer)>, Refusal> {
        self.recall(batch.group().enumerate()).await
    }

    async fn recall(
        &self,
        submissions: impl Iterator<Item = (usize, &Submission)>,
    ) -> Result<Vec<(usize, Answer)>, Refusal> {
        let keyed: Vec<_> = submissions
            .filter_map(|(index, submission)| Some((index, submission.request.as_ref()?)))
            .collect();
        if keyed.is_empty() {
            return Ok(Vec::new());
        }
        let firsts = self.firsts(keyed.iter().map(|(_, request)| *request)).await?;
        let answers = keyed.into_iter().filter_map(|(index, request)| {
            let answer = match firsts.get(request.id.as_str())? {
                Err(why) => Err(Refusal::Broken(why.clone())),
                Ok(first) if first.fingerprint == request.fingerprint => Ok(first.receipts.clone()),
                Ok(_) => Err(Refusal::RequestIdReused),
            };
            Some((index, answer))
        });
        Ok(answers.collect())
    }

    /// What the log holds under the ids of these requests. Asked for in parts, because events may weigh much
    /// more than the receipts that are kept of them; and those are kept only where they answer one of the
    /// requests, so that no more are than it has commands.
    async fn firsts<'a>(
        &self,
        requests: impl Iterator<Item = &'a RequestKey>,
    ) -> Result<Firsts, Refusal> {
        let asked_for: HashSet<&RequestKey> = requests.collect();
        let ids: BTreeSet<&str> = asked_for.iter().map(|request| request.id.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut firsts = Firsts::new();
        let mut lineage = Cow::Borrowed(&self.lineage);
        let mut asked = 0;
        while asked < ids.len() {
            let end = ids.len().min(asked + self.limits.load_streams.max(1));
            let found = self.requests(&ids[asked..end], &mut lineage).await?;
            asked += found.answered(&ids[asked..end]);
            let mut id = None;
            for row in &found.rows {
                // The first event of each command bears it.
                id = row.request_id.clone().or(id);
                if let Some(id) = &id {
                    take_in(&mut firsts, id, row, &lineage, &asked_for);
                }
            }
        }
        Ok(firsts)
    }

    /// What the log holds under these request ids, and which epochs it has: two answers of one epoch. In
    /// one that nobody here has heard of, another event may be where one was that is told of.
    async fn requests(
        &self,
        ids: &[&str],
        lineage: &mut Cow<'_, Lineage>,
    ) -> Result<Requested, Refusal> {
        for _ in 0..EPOCH_TRIES {
            let found = self.log.requests(ids, self.limits.commit_bytes).await;
            let found = found.map_err(unavailable)?;
            if found.rows.is_empty() {
                return Ok(found);
            }
            let identity = self.log.identity().await.map_err(unavailable)?;
            if identity.is_standby {
                return Err(standby());
            }
            self.check_log(&identity)?;
            let is_of_one_epoch = identity.lineage.current() == lineage.current();
            *lineage = Cow::Owned(identity.lineage);
            if is_of_one_epoch {
                return Ok(found);
            }
        }
        Err(epoch_began())
    }
}

/// Adds the next event of what is in the log under an id.
fn take_in(
    firsts: &mut Firsts,
    id: &Arc<str>,
    row: &StoredEvent,
    lineage: &Lineage,
    asked_for: &HashSet<&RequestKey>,
) {
    let recorded = match decode(row) {
        Ok(recorded) => recorded,
        Err(error) => {
            firsts.insert(Arc::clone(id), Err(cannot_read(&error)));
            return;
        }
    };
    let Some(request) = &recorded.request else { return };
    let first = firsts
        .entry(Arc::clone(id))
        .or_insert_with(|| Ok(First { fingerprint: request.fingerprint, receipts: Vec::new() }));
    if let Ok(first) = first
        && asked_for.contains(request)
    {
        let epoch = epoch_of(lineage, recorded.position);
        first.receipts.push(Receipt::of(&recorded, epoch));
    }
}

/// Whether a verdict is about what is true now and may not have been then, and no append will tell.
fn is_to_be_recalled(submission: &Submission, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Accepted(_) => submission.validate_only,
        Verdict::Refused(refusal) => {
            matches!(refusal, Refusal::Rule { .. } | Refusal::TooLarge { .. } | Refusal::Broken(_))
        }
        Verdict::Repeats(_) => false,
    }
}

/// The epoch that a position was written in.
fn epoch_of(lineage: &Lineage, position: Position) -> Epoch {
    let starts = lineage.epochs().iter().rev();
    starts
        .clone()
        .find(|start| start.first_position <= position)
        .map_or(Epoch::FIRST, |start| start.epoch)
}
