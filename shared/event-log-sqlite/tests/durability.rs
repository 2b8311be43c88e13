//! What is promised about the disk is asked of the database.

use configapi_event_log::EventLog;
use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::Position;
use configapi_event_log::{AppendError, PageLimit};
use configapi_event_log_sqlite::SqliteLog;

use crate::suite::{InFile, NOW};
use crate::writing::{console, events, run};

#[tokio::test]
async fn the_file_is_in_wal_mode() {
    let file = InFile::fresh().await;
    let _log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut console(&file.path()).await)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn what_was_acknowledged_is_in_a_copy_of_the_files_taken_at_once() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    let rows = events(&head, 5_000);
    log.append(&head, &rows).await.unwrap();
    // As after a kill: nothing is closed, nothing is moved from the write-ahead log.
    let copy = file.directory.path().join("copy.db");
    std::fs::copy(file.path(), &copy).unwrap();
    let wal = |path: &std::path::Path| path.with_extension("db-wal");
    std::fs::copy(wal(&file.path()), wal(&copy)).unwrap();
    let copied = SqliteLog::open(&copy, NOW).await.unwrap();
    assert_eq!(copied.head().await, log.head().await);
    assert_eq!(copied.identity().await, log.identity().await);
}

#[tokio::test]
async fn a_batch_of_any_size_is_one_commit() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    for count in [1, 2, 3, 255, 256, 257, 1_023, 1_024, 1_025, 3_000] {
        let head = log.head().await.unwrap();
        let mut rows = events(&head, count);
        log.append(&head, &rows).await.unwrap();
        let page = log.read(head.position, PageLimit::new(4_000, usize::MAX)).await.unwrap();
        assert!(page.events[1..] == rows[..], "{count} rows came back changed");

        // The last row breaks a rule, so none of those before it may stay.
        let head = log.head().await.unwrap();
        rows = events(&head, count);
        let last = rows.len() - 1;
        rows[last].stream = "default/config/1".into();
        let outcome = log.append(&head, &rows).await;
        assert!(matches!(outcome, Err(AppendError::Refused(_))), "{outcome:?}");
        assert_eq!(log.head().await.unwrap(), head, "a part of {count} rows stayed");
    }
}

#[tokio::test]
async fn a_row_that_is_no_event_is_told_as_corrupt() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    log.append(&head, &events(&head, 3)).await.unwrap();
    let mut console = console(&file.path()).await;
    run(&mut console, "DROP TRIGGER events_are_not_updated").await.unwrap();
    run(&mut console, "UPDATE events SET part_size = 1 << 40 WHERE position = 2").await.unwrap();
    let error = log.read(Position::GENESIS, PageLimit::TAIL).await.unwrap_err();
    assert!(error.to_string().starts_with("the log is corrupt at position 2"), "{error}");
}
