//! Repeated requests: the log knows every request id it ever saw, and a repeat gets the first
//! answer, however late it comes and whichever server it comes through.

use std::collections::HashMap;
use std::sync::Arc;

use configapi_domain::Position;
use configapi_event_log::{Epoch, Lineage, Recorded, decode};

use super::batch::Batch;
use super::establish::unavailable;
use super::plan::Verdict;
use super::queue::Answer;
use super::worker::Worker;
use super::{Receipt, Refusal, Submission};

impl Worker {
    /// Before keyed submissions are refused by a rule, or for what they would weigh by now: were they
    /// accepted once before? Then all was well, and the first receipt is the answer. So it is to those
    /// that are only to be validated: nothing will be written that would show that the id is taken.
    pub(super) async fn recall_unwritten(
        &self,
        batch: &Batch,
        verdicts: &[Verdict],
    ) -> Result<Vec<(usize, Answer)>, Refusal> {
        let unwritten: Vec<_> = batch
            .group()
            .enumerate()
            .zip(verdicts)
            .filter(|((_, submission), verdict)| is_to_be_recalled(submission, verdict))
            .map(|(entry, _)| entry)
            .collect();
        self.recall(unwritten.into_iter()).await
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
        let ids: Vec<&str> = keyed.iter().map(|(_, request)| request.id.as_str()).collect();
        let rows = self.log.requests(&ids).await.map_err(unavailable)?;
        let mut first_answers: HashMap<Arc<str>, Vec<Recorded>> = HashMap::new();
        for row in &rows {
            let recorded = decode(row).map_err(|error| Refusal::Broken(error.to_string()))?;
            if let Some(request) = &recorded.request {
                let id: Arc<str> = request.id.as_str().into();
                first_answers.entry(id).or_default().push(recorded);
            }
        }
        let answers = keyed.into_iter().filter_map(|(index, request)| {
            let events = first_answers.get(request.id.as_str())?;
            let is_same = events
                .iter()
                .all(|e| e.request.as_ref().is_some_and(|r| r.fingerprint == request.fingerprint));
            let receipts =
                || events.iter().map(|e| Receipt::of(e, epoch_of(&self.lineage, e.position)));
            let answer =
                if is_same { Ok(receipts().collect()) } else { Err(Refusal::RequestIdReused) };
            Some((index, answer))
        });
        Ok(answers.collect())
    }
}

/// Whether a verdict is about what is true now and may not have been then, and no append will tell.
fn is_to_be_recalled(submission: &Submission, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Accepted(_) => submission.validate_only,
        Verdict::Refused(refusal) => {
            matches!(refusal, Refusal::Rule { .. } | Refusal::TooLarge { .. })
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
