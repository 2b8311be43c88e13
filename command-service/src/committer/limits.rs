//! The committer's limits: every queue, batch, wait and retry has its bound here.

use std::time::Duration;

use configapi_event_log::Asking;

/// How much the committer takes on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Submissions that may wait.
    pub queue_submissions: usize,
    /// Bytes of commands that may wait.
    pub queue_bytes: usize,
    /// How long a bulk stream may wait for its client and keep its place although another wants it.
    pub bulk_idle: Duration,
    /// Submissions decided and written as one group.
    pub batch_submissions: usize,
    /// Commands decided and written as one group, those of an Apply each for itself. Small enough
    /// that a busy server has two groups in turns: one on its way into the log, one being decided.
    pub batch_commands: usize,
    /// Bytes of commands in one group; a single larger submission forms a group of its own.
    pub batch_bytes: usize,
    /// Bytes of events in one commit. Events carry the value before, so they may weigh more than
    /// their commands.
    pub commit_bytes: usize,
    /// Bytes of aggregates kept between batches.
    pub cache_bytes: usize,
    /// Streams asked for in one look-up; fewer are answered if they are heavy.
    pub load_streams: usize,
    /// Rounds a batch may lose against other writers or the store before it is given up.
    pub rounds: usize,
    /// How old decisions may be that were made ahead: their events bear the time of the decision.
    pub head_start_max: Duration,
    /// Batches that go the patient way after one lost a race.
    pub patient_batches: usize,
    /// How long an ambiguous commit is followed up.
    pub resolve_for: Duration,
    /// How long a page may take of what others appended. After one that took longer, less is asked for.
    pub page_max: Duration,
    /// The first pause between two tries to reach the store.
    pub backoff_min: Duration,
    /// The longest pause between two tries to reach the store.
    pub backoff_max: Duration,
    /// How often an idle committer looks after the store.
    pub probe_every: Duration,
    /// How long a store that can be read and refused an append is taken to refuse the next one too.
    pub refused_for: Duration,
    /// How far our clock and the store's may be apart.
    pub clock_skew_max: Duration,
    /// How far the newest event's time may lie ahead of our clock without a word: a few seconds are as
    /// good as nothing, for the clocks of other servers are not ours.
    pub times_ahead_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_submissions: 8_192,
            queue_bytes: 64 << 20,
            bulk_idle: Duration::from_secs(30),
            batch_submissions: 1_024,
            batch_commands: 512,
            batch_bytes: 4 << 20,
            commit_bytes: 32 << 20,
            cache_bytes: 512 << 20,
            load_streams: 256,
            rounds: 12,
            head_start_max: Duration::from_millis(100),
            patient_batches: 16,
            resolve_for: Duration::from_secs(10),
            page_max: Asking::PATIENCE,
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(500),
            probe_every: Duration::from_secs(1),
            refused_for: Duration::from_mins(2),
            clock_skew_max: Duration::from_secs(1),
            times_ahead_max: Duration::from_secs(10),
        }
    }
}
