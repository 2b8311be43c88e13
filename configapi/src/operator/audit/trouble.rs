//! Why a step along the log was not taken, and whether another log is the reason.

use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::{EventLog, LogId};
use configapi_store::{Access, open};
use tokio::time::timeout;

use crate::failure::Failure;
use crate::operator::store::{StoreArguments, now};

/// How long it may take to find out what a store holds.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// Why a step was not taken.
pub enum Trouble {
    /// The store does not answer; it may later.
    Silent(String),
    /// The store refuses to be read as it was opened; it may not do so for ever.
    Refused(String),
    /// There is no going on.
    Fatal(Failure),
}

/// What is said of a log that must not be gone on with.
pub fn wrong_log(store: &StoreArguments, why: &str) -> Failure {
    Failure::refused(format!("{}: {why}", store.store))
        .with_hint("the checkpoint stays where it is; `configapi verify` looks at the log")
}

/// Opens a store anew that refuses, if it still holds this log; a file that was replaced is only found by
/// its name. That it holds another log does not pass.
pub async fn opened_anew(
    store: &StoreArguments,
    log_id: LogId,
) -> Result<Option<Arc<dyn EventLog>>, Failure> {
    let opening = async {
        let log = open(&store.store, Access::Read, now()).await?;
        let found = log.identity().await?.log_id;
        Ok::<_, configapi_event_log::LogError>((log, found))
    };
    match timeout(LOOK_MAX, opening).await {
        Ok(Ok((log, found))) if found == log_id => Ok(Some(log)),
        Ok(Ok((_, found))) => Err(wrong_log(
            store,
            &format!("it holds log {found} now, and held log {log_id} before"),
        )),
        Ok(Err(_)) | Err(_) => Ok(None),
    }
}
