//! What time it is, for questions about the past. It decides how long a reader waits, never what is in
//! an answer.

use std::time::{SystemTime, UNIX_EPOCH};

use configapi_domain::Timestamp;

/// The time by this machine's clock.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}
