//! Waiting for the log to grow: it leaves nothing behind, however it ends.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::EventLog;
use configapi_event_log::conformance::Factory;
use configapi_event_log_sqlite::SqliteLog;

use crate::suite::{InFile, NOW};
use crate::writing::events;

/// Longer than any test may take.
const VERY_PATIENT: Duration = Duration::from_mins(10);
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_log_that_somebody_waited_for_is_closed_like_any_other() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    log.grown(head.position, Duration::from_millis(1)).await;
    log.close().await;
    assert!(!file.path().with_extension("db-wal").exists(), "a connection is still open");
}

#[test]
fn the_log_is_looked_at_again_after_the_runtime_of_who_waited_has_ended() {
    let (file, log, head) = in_a_runtime(async {
        let file = InFile::fresh().await;
        let log = SqliteLog::open(&file.path(), NOW).await.map(Arc::new).unwrap();
        let head = log.head().await.unwrap();
        let waits_on = Arc::clone(&log);
        tokio::spawn(async move { waits_on.grown(head.position, VERY_PATIENT).await });
        log.grown(head.position, Duration::from_millis(1)).await;
        (file, log, head)
    });
    in_a_runtime(async {
        let writer = SqliteLog::open(&file.path(), NOW).await.unwrap();
        writer.append(&head, &events(&head, 1)).await.unwrap();
        let grown = log.grown(head.position, VERY_PATIENT);
        assert!(tokio::time::timeout(LIMIT, grown).await.is_ok(), "nobody looks");
    });
}

/// What comes of it in a runtime that ends with it, and with all that it started.
fn in_a_runtime<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap().block_on(future)
}
