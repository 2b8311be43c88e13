//! Decides a batch: which of its submissions happen, what they are told, and the rows to append.
//! No I/O: everything it needs to know was loaded before.

use std::collections::HashMap;
use std::sync::Arc;

use configapi_domain::{
    Action, Command, ConfigEvent, ConfigValue, Past, Point, RestoreSource, State, Timestamp,
    Version, decide, evolve,
};
use configapi_event_log::{
    CommandPart, DecodeError, Draft, Fingerprint, Head, StoredEvent, encode, encoded_bytes, seal,
};

use super::submission::Written;
use super::{EventKind, Receipt, Refusal, Submission, Wish, WishedAction};

/// What configs were at a point; none if they were nothing. An error is why an event cannot be read.
pub(super) type Pasts = HashMap<(Arc<str>, Point), Result<Option<Past>, String>>;

/// What is known about the configs of a batch, as of the head.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    /// Every config that the batch names.
    pub configs: HashMap<Arc<str>, ConfigValue>,
    /// What configs were at every point that a Restore of the batch names.
    pub pasts: Pasts,
    /// Configs whose newest event this program cannot read, and why: they are not to be touched.
    pub unreadable: HashMap<Arc<str>, String>,
}

impl Knowledge {
    /// Why nothing can be decided on a wish: it has to do with an event that cannot be read.
    fn unreadable_for(&self, wish: &Wish, stream: &Arc<str>) -> Option<&String> {
        let past = match wish.action {
            WishedAction::Restore(Some(point)) => self.pasts.get(&(Arc::clone(stream), point)),
            WishedAction::Set(_) | WishedAction::Delete | WishedAction::Restore(None) => None,
        };
        self.unreadable.get(stream).or_else(|| past?.as_ref().err())
    }
}

/// Says that an event cannot be read, and why.
pub(super) fn cannot_read(error: &DecodeError) -> String {
    tracing::error!(%error, "an event cannot be read");
    error.to_string()
}

/// What becomes of a batch if its rows are appended on the head that it was decided on.
#[derive(Debug)]
pub(super) struct Plan {
    /// The rows, sealed, from the head on.
    pub rows: Vec<StoredEvent>,
    /// One for each submission, in order. Fewer, if the rest would not fit into the commit.
    pub verdicts: Vec<Verdict>,
    /// The streams that the rows change; what they become is in the knowledge.
    pub changed: Vec<Arc<str>>,
}

/// What becomes of one submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It happens, or would happen if it were not to be validated only.
    Accepted(Vec<Receipt>),
    /// It repeats the accepted submission with this index.
    Repeats(usize),
    /// It does not happen.
    Refused(Refusal),
}

/// A decision in progress. What is known must hold every config that a submission names before the
/// submission is decided.
#[derive(Debug)]
pub(super) struct Planner {
    head: Head,
    recorded_at: Timestamp,
    commit_bytes: usize,
    /// What is known; decisions are made on it, and change it.
    pub knowledge: Knowledge,
    plan: Plan,
    weight_bytes: usize,
    /// Whether the next submission has to wait for the next commit.
    is_full: bool,
    /// Events decided so far, for a Restore that goes back to one of them.
    decided: Vec<(Arc<str>, Version, ConfigEvent)>,
    /// Keyed submissions accepted so far: which, and what they asked for.
    keyed: HashMap<Arc<str>, (usize, Fingerprint)>,
}

impl Planner {
    /// Nothing is decided yet.
    pub fn new(head: Head, now: Timestamp, commit_bytes: usize) -> Self {
        Self {
            head,
            recorded_at: now.max(head.recorded_at),
            commit_bytes,
            knowledge: Knowledge::default(),
            plan: Plan { rows: Vec::new(), verdicts: Vec::new(), changed: Vec::new() },
            weight_bytes: 0,
            is_full: false,
            decided: Vec::new(),
            keyed: HashMap::new(),
        }
    }

    /// The head that is decided on.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What is decided from now on is recorded at this time. For one that has decided nothing yet: its
    /// events all bear one.
    pub fn record_at(&mut self, now: Timestamp) {
        self.recorded_at = now.max(self.head.recorded_at);
    }

    /// The time that its events bear.
    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// How many submissions are decided.
    pub fn decided_submissions(&self) -> usize {
        self.plan.verdicts.len()
    }

    /// Decides one submission more. It sees what those before it did. False if it has to wait for
    /// the next commit, and with it all that come after it.
    pub fn decide(&mut self, submission: &Submission) -> bool {
        if !self.is_full {
            match self.judge(submission) {
                Some(verdict) => self.plan.verdicts.push(verdict),
                None => self.is_full = true,
            }
        }
        !self.is_full
    }

    /// What is known of pasts that no later event changes.
    pub fn settled_pasts(self) -> Pasts {
        let (head, mut pasts) = (self.head, self.knowledge.pasts);
        pasts.retain(|(_, point), past| match point {
            Point::Version(_) => !matches!(past, Ok(None)),
            Point::Time(time) => *time < head.recorded_at,
            Point::Position(position) => *position <= head.position,
        });
        pasts
    }

    /// The plan, and what is known once it is carried out.
    pub fn finish(self) -> (Plan, Knowledge) {
        (self.plan, self.knowledge)
    }

    /// The verdict on one submission; none if it has to wait for the next commit.
    fn judge(&mut self, submission: &Submission) -> Option<Verdict> {
        if let Some(verdict) = self.judge_repeat(submission) {
            return Some(verdict);
        }
        let decided_before = self.decided.len();
        let mut undo = Vec::with_capacity(submission.wishes.len());
        let outcome = self.decide_all(submission, &mut undo);
        let bytes: usize = self.decided[decided_before..]
            .iter()
            .map(|(stream, _, event)| encoded_bytes(stream, event))
            .sum();
        let verdict = match outcome {
            Err(refusal) => Some(Verdict::Refused(refusal)),
            Ok(()) if bytes > self.commit_bytes => {
                Some(Verdict::Refused(Refusal::TooLarge { bytes, limit_bytes: self.commit_bytes }))
            }
            Ok(()) if submission.validate_only => {
                Some(Verdict::Accepted(self.receipts(submission, decided_before, None)))
            }
            Ok(()) if self.weight_bytes + bytes > self.commit_bytes => None,
            Ok(()) => {
                self.weight_bytes += bytes;
                return Some(Verdict::Accepted(self.accept(submission, decided_before)));
            }
        };
        self.roll_back(undo, decided_before);
        verdict
    }

    /// A request id that an earlier submission of this batch has too.
    fn judge_repeat(&self, submission: &Submission) -> Option<Verdict> {
        let request = submission.request.as_ref()?;
        let (first, fingerprint) = *self.keyed.get(request.id.as_str())?;
        Some(if fingerprint == request.fingerprint {
            Verdict::Repeats(first)
        } else {
            Verdict::Refused(Refusal::RequestIdReused)
        })
    }

    fn decide_all(
        &mut self,
        submission: &Submission,
        undo: &mut Vec<(Arc<str>, ConfigValue)>,
    ) -> Result<(), Refusal> {
        for (index, wish) in submission.wishes.iter().enumerate() {
            let stream = wish.key.shared_stream();
            if let Some(why) = self.knowledge.unreadable_for(wish, &stream) {
                return Err(Refusal::Broken(why.clone()));
            }
            let config = self.knowledge.configs.get(&stream).cloned().unwrap_or_default();
            let command = self.command(wish, &stream, &config);
            let event = decide(&config, &command).map_err(|rule| Refusal::Rule {
                index,
                key: wish.key.clone(),
                rule,
            })?;
            let after = evolve(&config, &event);
            self.decided.push((Arc::clone(&stream), after.version, event));
            self.knowledge.configs.insert(Arc::clone(&stream), after);
            undo.push((stream, config));
        }
        Ok(())
    }

    fn command(&self, wish: &Wish, stream: &Arc<str>, config: &ConfigValue) -> Command {
        let action = match &wish.action {
            WishedAction::Set(content) => Action::Set(content.clone()),
            WishedAction::Delete => Action::Delete,
            WishedAction::Restore(None) => Action::Restore(RestoreSource::LastValue),
            // A later position is in the log of another server at most: if it is, this one's head is
            // old, and what was decided on it is void.
            WishedAction::Restore(Some(Point::Position(position)))
                if *position > self.head.position =>
            {
                Action::Restore(RestoreSource::NotYet(*position))
            }
            WishedAction::Restore(Some(point)) => {
                let past = self.past(stream, *point, config);
                Action::Restore(past.map_or(RestoreSource::Nothing(*point), RestoreSource::Past))
            }
        };
        Command { key: wish.key.clone(), expected_version: wish.expected_version, action }
    }

    /// What a config was at a point, events of this very batch included.
    fn past(&self, stream: &Arc<str>, point: Point, config: &ConfigValue) -> Option<Past> {
        match point {
            // From the batch's own time on, the config is what it is by now.
            Point::Time(time) if time >= self.recorded_at => {
                return (config.version > Version::NONE).then(|| Past {
                    version: config.version,
                    content: match &config.state {
                        State::Live(content) => Some(content.clone()),
                        State::Unborn | State::Deleted(_) => None,
                    },
                });
            }
            Point::Version(version) => {
                let fresh = self.decided.iter().find(|(s, v, _)| s == stream && *v == version);
                if let Some((_, version, event)) = fresh {
                    return Some(Past { version: *version, content: event.content().cloned() });
                }
            }
            Point::Time(_) | Point::Position(_) => {}
        }
        self.knowledge.pasts.get(&(Arc::clone(stream), point))?.clone().ok()?
    }

    fn accept(&mut self, submission: &Submission, decided_before: usize) -> Vec<Receipt> {
        let first_row = self.plan.rows.len();
        // At most MAX_EVENTS_PER_COMMAND wishes, so the numbers fit.
        let size = u32::try_from(submission.wishes.len()).unwrap_or(u32::MAX);
        for (index, wish) in (0_u32..).zip(&submission.wishes) {
            let (stream, version, event) = &self.decided[decided_before + index as usize];
            let (position, previous) = match self.plan.rows.last() {
                Some(row) => (row.position.next(), row.hash),
                None => (self.head.position.next(), self.head.hash),
            };
            let mut row = encode(&Draft {
                position,
                version: *version,
                recorded_at: self.recorded_at,
                key: &wish.key,
                event,
                provenance: &submission.provenance,
                request: submission.request.as_ref(),
                part: CommandPart { index, size },
            });
            seal(previous, &mut row);
            self.plan.rows.push(row);
            self.plan.changed.push(Arc::clone(stream));
        }
        if let Some(request) = &submission.request {
            let place = (self.plan.verdicts.len(), request.fingerprint);
            self.keyed.insert(request.id.as_str().into(), place);
        }
        self.receipts(submission, decided_before, Some(first_row))
    }

    fn receipts(
        &self,
        submission: &Submission,
        decided_before: usize,
        first_row: Option<usize>,
    ) -> Vec<Receipt> {
        let request_id: Option<Arc<str>> =
            submission.provenance.request_id.as_ref().map(|id| id.as_str().into());
        let decided = &self.decided[decided_before..];
        let receipts = decided.iter().zip(&submission.wishes).enumerate();
        receipts
            .map(|(index, ((_, version, event), wish))| Receipt {
                key: wish.key.clone(),
                version: *version,
                kind: EventKind::of(event),
                request_id: request_id.clone(),
                written: first_row.map(|first| {
                    let row = &self.plan.rows[first + index];
                    Written {
                        epoch: self.head.epoch,
                        position: row.position,
                        recorded_at: row.recorded_at,
                        hash: row.hash,
                    }
                }),
            })
            .collect()
    }

    fn roll_back(&mut self, undo: Vec<(Arc<str>, ConfigValue)>, decided_before: usize) {
        self.decided.truncate(decided_before);
        for (stream, config) in undo.into_iter().rev() {
            self.knowledge.configs.insert(stream, config);
        }
    }
}
