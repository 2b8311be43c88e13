//! The one place that asks what time it is, so that tests can answer.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use configapi_domain::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is refused at start, by comparison with the store's.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

/// How long a clock that was compared with the store's is trusted.
const TRUSTED_FOR: Duration = Duration::from_mins(1);

/// Remembers when the clock was last found right. A clock that was set since then has moved by
/// another time than has passed, which the monotonic clock tells.
#[derive(Debug, Default)]
pub(crate) struct ClockCheck {
    found_right: Option<(Timestamp, Instant)>,
}

impl ClockCheck {
    /// Notes that the clock was found right just now.
    pub(crate) fn found_right(&mut self, now: Timestamp) {
        self.found_right = Some((now, Instant::now()));
    }

    /// Whether the clock has to be compared with the store's again: it was set by more than
    /// `skew_max`, or the last time was too long ago.
    pub(crate) fn is_due(&self, now: Timestamp, skew_max: Duration) -> bool {
        let Some((then, since)) = self.found_right else { return true };
        let passed = since.elapsed();
        let told = now.0.saturating_sub(then.0);
        let expected = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        let off = Duration::from_micros(told.abs_diff(expected));
        passed > TRUSTED_FOR || off > skew_max
    }
}
