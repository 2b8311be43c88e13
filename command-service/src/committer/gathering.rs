//! The submissions of a batch that has not left yet.

use std::collections::VecDeque;
use std::time::Instant;

use super::Limits;
use super::plan::Planner;
use super::queue::Queued;

/// What was taken from the queue for the next batch, in order.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    entries: VecDeque<Queued>,
    commands: usize,
    bytes: usize,
    /// What was decided ahead: the first of these submissions, on a head that may come to be.
    pub planner: Option<Planner>,
    /// Of how many of these submissions the configs were looked up if nobody knew them.
    pub looked_up: usize,
    /// What the configs weigh that were looked up.
    pub loaded_bytes: usize,
}

impl Gathering {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the batch has to leave before more is taken.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.entries.len() >= limits.batch_submissions
            || self.commands >= limits.batch_commands
            || self.bytes >= limits.batch_bytes
    }

    /// Adds a submission, if its caller still waits.
    pub fn add(&mut self, queued: Queued, now: Instant) {
        if queued.is_wanted(now) {
            self.bytes += queued.submission.weight_bytes();
            self.commands += queued.submission.wishes.len();
            self.entries.push_back(queued);
        }
    }

    /// What was decided ahead, and looked up for it, is void.
    pub fn forget_decisions(&mut self) {
        (self.planner, self.looked_up, self.loaded_bytes) = (None, 0, 0);
    }

    /// The submissions, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Queued> {
        self.entries.iter()
    }

    /// What was gathered, and what was decided of it.
    pub fn into_parts(self) -> (VecDeque<Queued>, Option<Planner>) {
        (self.entries, self.planner)
    }
}
