//! From a store URL to an open log.

use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::domain::Timestamp;
use configapi_event_log::{Beginning, EventLog, LogError, LogId, MemoryLog};
use configapi_event_log_postgres::PostgresLog;
use configapi_event_log_sqlite::SqliteLog;

use crate::StoreUrl;

/// The first pause between two tries to open a store.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two tries to open a store.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What a log is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To follow it. Nothing is made and nothing is changed.
    Read,
    /// To read once what is there, and to end then. Nothing is made and nothing is changed.
    ReadOnce,
    /// To append to it. What is missing is made.
    Write,
}

/// Opens a log. A log that begins here begins `now`.
pub async fn open(
    url: &StoreUrl,
    access: Access,
    now: Timestamp,
) -> Result<Arc<dyn EventLog>, LogError> {
    Ok(match url {
        StoreUrl::Memory => Arc::new(MemoryLog::new(LogId::new_at(now), now)),
        StoreUrl::Sqlite(path) => match access {
            Access::Write => SqliteLog::open(path, now).await?,
            Access::Read => SqliteLog::open_for_reading(path).await?,
            Access::ReadOnce => SqliteLog::open_to_read_once(path).await?,
        },
        StoreUrl::Postgres(url) => {
            let access = match access {
                Access::Write => configapi_event_log_postgres::Access::ReadWrite,
                Access::Read | Access::ReadOnce => configapi_event_log_postgres::Access::ReadOnly,
            };
            Arc::new(PostgresLog::open(url.expose(), access).await?)
        }
    })
}

/// Opens a log, however long it takes until its store is there; whoever waits decides when to stop
/// waiting. An error is one that waiting does not help against.
pub async fn open_patiently(
    url: &StoreUrl,
    access: Access,
    now: impl Fn() -> Timestamp,
) -> Result<Arc<dyn EventLog>, LogError> {
    let mut pause = PAUSE_MIN;
    loop {
        match open(url, access, now()).await {
            Err(LogError::Unavailable(reason)) => {
                tracing::warn!(store = %url, %reason, "the store is not there yet");
            }
            opened => return opened,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Makes what a store needs, or brings it up to date, with the rights of this URL's role.
pub async fn migrate(url: &StoreUrl, now: Timestamp) -> Result<(), LogError> {
    match url {
        StoreUrl::Postgres(url) => configapi_event_log_postgres::migrate(url.expose()).await,
        StoreUrl::Sqlite(_) | StoreUrl::Memory => {
            open(url, Access::Write, now).await?.close().await;
            Ok(())
        }
    }
}

/// Leaves the store of a server in order that has ended, if it was ever open.
pub async fn close(opened: Option<Arc<dyn EventLog>>) {
    if let Some(log) = opened {
        log.close().await;
    }
}

/// Begins a log in an empty store with a beginning that it has from elsewhere: from a backup. A store
/// that holds a log already is refused.
pub async fn begin(url: &StoreUrl, beginning: &Beginning) -> Result<Arc<dyn EventLog>, LogError> {
    Ok(match url {
        StoreUrl::Memory => Arc::new(MemoryLog::begin(beginning)),
        StoreUrl::Sqlite(path) => SqliteLog::begin(path, beginning).await?,
        StoreUrl::Postgres(target) => {
            configapi_event_log_postgres::begin(target.expose(), beginning).await?;
            return open(url, Access::Write, beginning.began_at).await;
        }
    })
}
