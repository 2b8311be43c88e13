//! How the store is asked: for a bounded time.

use std::future::Future;
use std::time::Duration;

use configapi_event_log::LogError;
use tokio::time::timeout;

use super::trouble::Trouble;

/// Asks the store something, for a bounded time.
pub(super) async fn ask<T>(
    patience: Duration,
    question: impl Future<Output = Result<T, LogError>>,
) -> Result<T, Trouble> {
    match timeout(patience, question).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(LogError::Unavailable("it takes too long to answer".to_owned()).into()),
    }
}
