//! A group of submissions on its way into the log.

use std::collections::{HashSet, VecDeque};

use configapi_domain::RequestId;
use configapi_event_log::Head;

use super::gathering::Gathering;
use super::plan::{Planner, Verdict};
use super::queue::{Answer, Queued};
use super::{CommitterMetrics, Refusal, Submission};

/// Submissions that the committer took from the queue and has not settled yet, in order.
#[derive(Debug)]
pub(super) struct Batch {
    entries: VecDeque<Queued>,
    /// How many are decided and written at once. Shrinks when the store refuses a group as a
    /// whole, until the guilty one stands alone, and grows again with each group that it takes.
    group: usize,
    /// What was decided of it while the batch before it was under way. Used once.
    head_start: Option<Planner>,
    /// Request ids that the log did not hold up to a head.
    new_ids: Option<(Head, HashSet<RequestId>)>,
    /// Whether another writer was faster: then the next round goes the patient way.
    pub lost_race: bool,
}

impl Batch {
    pub fn new(gathering: Gathering) -> Self {
        let (entries, head_start) = gathering.into_parts();
        Self { group: entries.len(), entries, head_start, new_ids: None, lost_race: false }
    }

    /// What was decided of it ahead, if that was on this head.
    pub fn take_head_start(&mut self, head: Head) -> Option<Planner> {
        self.head_start.take().filter(|planner| planner.head() == head)
    }

    /// Whether it is known that a submission repeats nothing that the log holds up to this head.
    pub fn is_known_new(&self, head: Head, submission: &Submission) -> bool {
        let known = self.new_ids.as_ref().filter(|(at, _)| *at == head);
        let request = submission.request.as_ref();
        request.zip(known).is_some_and(|(request, (_, ids))| ids.contains(&request.id))
    }

    /// Remembers that the log holds none of these request ids up to this head.
    pub fn note_new(&mut self, head: Head, ids: Vec<RequestId>) {
        if ids.is_empty() {
            return;
        }
        match &mut self.new_ids {
            Some((at, known)) if *at == head => known.extend(ids),
            new_ids => *new_ids = Some((head, ids.into_iter().collect())),
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The submissions that go next, in order.
    pub fn group(&self) -> impl Iterator<Item = &Submission> {
        self.entries.iter().take(self.group).map(|queued| &queued.submission)
    }

    /// Makes the group at most this large.
    pub fn limit_group(&mut self, submissions: usize) {
        self.group = self.group.min(submissions).max(1);
    }

    /// Takes those out of their callers' hands of which these verdicts, on the first submissions, say
    /// that they are sent to the log. Those whose callers have given up leave the batch; false if there
    /// were any: then what was decided is void, and nothing is sent.
    pub fn begin(&mut self, verdicts: &[Verdict]) -> bool {
        let before = self.entries.len();
        let mut verdicts = verdicts.iter();
        self.entries.retain(|queued| match verdicts.next() {
            Some(verdict) if is_sent(&queued.submission, verdict) => queued.begin(),
            Some(_) | None => true,
        });
        let is_whole = self.entries.len() == before;
        if !is_whole {
            self.give_back();
        }
        is_whole
    }

    /// Nothing was written of what was sent: their callers may give up again.
    pub fn give_back(&self) {
        self.entries.iter().for_each(Queued::give_back);
    }

    /// Takes out the first submissions, which are settled by these verdicts.
    pub fn take_settled(&mut self, verdicts: Vec<Verdict>) -> Settled {
        self.group = self.group.saturating_mul(2);
        let entries = self.entries.drain(..verdicts.len().min(self.entries.len())).collect();
        Settled { entries, verdicts }
    }

    /// Refuses the first submissions.
    pub fn refuse_first(&mut self, count: usize, refusal: &Refusal) {
        for queued in self.entries.drain(..count.min(self.entries.len())) {
            queued.settle(Err(refusal.clone()));
        }
    }

    /// Refuses the first submissions, on which these are the verdicts and of which nobody knows what
    /// became: whether something was written. Nothing was of those that were to be validated only or
    /// broke a rule, though the verdict on them may not be true either.
    pub fn refuse_unresolved(&mut self, verdicts: &[Verdict], why: &str) {
        for verdict in verdicts {
            let Some(queued) = self.entries.pop_front() else { break };
            let is_sent = is_sent(&queued.submission, verdict);
            queued.settle(Err(if is_sent {
                Refusal::OutcomeUnknown
            } else {
                Refusal::Unavailable(why.to_owned())
            }));
        }
    }

    /// Refuses what is left.
    pub fn refuse_all(&mut self, refusal: &Refusal) {
        self.refuse_first(self.entries.len(), refusal);
    }

    /// Tells how large the batch is.
    pub fn observe(&self, metrics: &CommitterMetrics) {
        metrics.batch(self.entries.iter().map(|queued| queued.submission.wishes.len()).sum());
    }

    /// Answers one submission of the group out of turn and takes it out: it is in the log already.
    pub fn settle_one(&mut self, index: usize, answer: Answer) {
        if let Some(queued) = self.entries.remove(index) {
            queued.settle(answer);
        }
    }
}

/// Whether something of a submission is sent to the log, or it has the fate of one that is.
fn is_sent(submission: &Submission, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Accepted(_) => !submission.validate_only,
        Verdict::Repeats(_) => true,
        Verdict::Refused(_) => false,
    }
}

/// Submissions that are settled, and not answered yet.
#[must_use]
#[derive(Debug)]
pub(super) struct Settled {
    entries: Vec<Queued>,
    verdicts: Vec<Verdict>,
}

impl Settled {
    /// Answers them all.
    pub fn answer(self) {
        let mut answers: Vec<Answer> = Vec::with_capacity(self.verdicts.len());
        for verdict in self.verdicts {
            answers.push(match verdict {
                Verdict::Accepted(receipts) => Ok(receipts),
                Verdict::Repeats(first) => answers[first].clone(),
                Verdict::Refused(refusal) => Err(refusal),
            });
        }
        for (queued, answer) in self.entries.into_iter().zip(answers) {
            queued.settle(answer);
        }
    }
}
