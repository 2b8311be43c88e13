//! The limits of the read server: every wait, retry, page and frame has its bound here.

use std::time::Duration;

/// How much the read server takes on, and how long it waits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Watches open at once.
    pub watchers: usize,
    /// How long a read waits for freshness if the call has no deadline.
    pub wait_max: Duration,
    /// How long one question to the store may take.
    pub question_max: Duration,
    /// How long the tailer leaves the store alone right after an event.
    pub poll_min: Duration,
    /// How long the tailer lets events gather after it read some, as long as nobody waits for more.
    pub rest: Duration,
    /// How long after somebody waited the tailer does not do that, for others may be about to.
    pub awake: Duration,
    /// How long the tailer leaves an idle store alone.
    pub poll_max: Duration,
    /// The first pause after trouble with the log.
    pub backoff_min: Duration,
    /// The longest pause after trouble with the log.
    pub backoff_max: Duration,
    /// Configs looked at, and namespaces passed, for one page of an answer; then the page ends, full or
    /// not.
    pub page_visits: usize,
    /// Bytes of one page of an answer, so that it fits into the 4 MiB that clients accept.
    pub page_bytes: usize,
    /// Events or configs in one frame of a watch.
    pub frame_items: usize,
    /// Bytes in one frame of a watch, unless a single item is larger.
    pub frame_bytes: usize,
    /// Events looked at for one frame of a watch before others get their turn.
    pub frame_visits: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            watchers: 10_000,
            wait_max: Duration::from_secs(10),
            question_max: Duration::from_secs(10),
            poll_min: Duration::from_millis(5),
            rest: Duration::from_millis(5),
            awake: Duration::from_secs(1),
            poll_max: Duration::from_millis(100),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            page_visits: 50_000,
            page_bytes: 3_500_000,
            frame_items: 256,
            frame_bytes: 64 << 10,
            frame_visits: 5_000,
        }
    }
}
