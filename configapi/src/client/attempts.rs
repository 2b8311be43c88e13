//! How often a call is repeated, and how long between.

use std::time::Duration;

use configapi_proto::{ApiError, Reason};
use tokio::time::{Instant, sleep};
use tonic::{Request, Status};

use super::place::{is_connect_error, is_timeout, speaks_otherwise};

/// The most attempts at one call.
const MAX_ATTEMPTS: usize = 6;
/// The same while nobody listens: enough for a server that is just being replaced, but whoever
/// mistyped an address hears of it within a second.
const MAX_ATTEMPTS_TO_CONNECT: usize = 3;
/// The wait after the first attempt that failed; it doubles with each one more.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two attempts.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The attempts at one call.
#[derive(Debug)]
pub(super) struct Attempts {
    deadline: Instant,
    servers: usize,
    backoff: Backoff,
}

impl Attempts {
    /// The first of them, at one of so many servers. All together may take so long.
    pub fn new(timeout: Duration, servers: usize) -> Self {
        Self { deadline: Instant::now() + timeout, servers, backoff: Backoff::default() }
    }

    /// How many attempts have failed.
    pub fn count(&self) -> usize {
        self.backoff.failures
    }

    /// A request that may take as long as is left.
    pub fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        request.set_timeout(self.deadline.saturating_duration_since(Instant::now()));
        request
    }

    /// Waits for the next attempt, unless there is no point in one.
    pub async fn again_after(&mut self, error: &ApiError, status: &Status) -> bool {
        if !error.reason.worth_repeating() || error.reason == Reason::DeadlineExceeded {
            return false;
        }
        let wait = self.backoff.next_wait(error.retry_after);
        let most = most_attempts(status, self.servers);
        if self.count() >= most || Instant::now() + wait >= self.deadline {
            return false;
        }
        sleep(wait).await;
        true
    }
}

/// How many attempts there may be at something that ended like this, at so many servers.
pub(super) fn most_attempts(status: &Status, servers: usize) -> usize {
    if speaks_otherwise(status) || is_timeout(status) {
        // It will not learn it, and was given all the time there was; but another one may be what was
        // meant.
        servers
    } else if is_connect_error(status) {
        MAX_ATTEMPTS_TO_CONNECT.max(servers)
    } else {
        MAX_ATTEMPTS
    }
}

/// How long to wait after each failure: longer every time, within bounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: usize,
}

impl Backoff {
    /// How many failures there were in a row.
    pub fn failures(self) -> usize {
        self.failures
    }

    /// Counts a failure, and says how long to wait; the server may have asked for more.
    pub fn next_wait(&mut self, asked_for: Option<Duration>) -> Duration {
        let doubled = u32::try_from(self.failures).unwrap_or(u32::MAX).min(16);
        self.failures += 1;
        let own = FIRST_WAIT.saturating_mul(1 << doubled);
        // What servers ask for when they know nothing better is as long as our own growing wait.
        own.max(asked_for.unwrap_or_default().min(own.saturating_mul(2))).min(MAX_WAIT)
    }

    /// Forgets the failures: something worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}
