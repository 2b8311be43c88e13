//! What is promised about the disk is asked of the database.

use std::time::Duration;

use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::Position;
use configapi_event_log::{AppendError, EventLog, Head, LogError, PageLimit};
use configapi_event_log_sqlite::SqliteLog;

use crate::suite::{InFile, NOW};
use crate::writing::{console, events, run};

/// Far less than a write-ahead log holds.
const MOVED_BYTES: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

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
    let head = log.head().await.unwrap();
    let mut first = events(&head, 1);
    first[0].request_id = Some("once".into());
    log.append(&head, &first).await.unwrap();
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
        rows[last].request_id = Some("once".into());
        assert_eq!(log.append(&head, &rows).await, Err(AppendError::RequestIdTaken));
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

/// What the file has by itself, without the write-ahead log.
async fn of_the_file_alone(file: &InFile, name: &str) -> Result<Head, LogError> {
    let copy = file.directory.path().join(name);
    std::fs::copy(file.path(), &copy).unwrap();
    SqliteLog::open_for_reading(&copy).await?.head().await
}

#[tokio::test]
async fn a_log_that_was_closed_is_all_in_its_file() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let reader = SqliteLog::open_for_reading(&file.path()).await.unwrap();
    let head = log.head().await.unwrap();
    log.append(&head, &events(&head, 3)).await.unwrap();
    let head = reader.head().await.unwrap();
    assert_ne!(of_the_file_alone(&file, "open.db").await, Ok(head));
    // The other one reads on, and is not in the way.
    log.close().await;
    assert_eq!(of_the_file_alone(&file, "closed.db").await, Ok(head));
    assert_eq!(reader.head().await, Ok(head));
    reader.close().await;
    let again = SqliteLog::open(&file.path(), NOW).await.unwrap();
    assert_eq!(again.head().await, Ok(head));
    again.close().await;
    assert!(!file.path().with_extension("db-wal").exists());
}

#[tokio::test]
async fn a_reader_in_the_middle_of_it_keeps_no_log_from_being_closed() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let mut console = console(&file.path()).await;
    run(&mut console, "BEGIN; SELECT count(*) FROM events").await.unwrap();
    let head = log.head().await.unwrap();
    log.append(&head, &events(&head, 3)).await.unwrap();
    let head = log.head().await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(4), log.close()).await;
    assert!(closed.is_ok(), "it waits for the reader");
    run(&mut console, "COMMIT").await.unwrap();
    let again = SqliteLog::open(&file.path(), NOW).await.unwrap();
    assert_eq!(again.head().await, Ok(head));
}

#[tokio::test]
async fn what_was_in_a_removed_write_ahead_log_is_in_the_file_once_it_was_closed() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    log.append(&head, &events(&head, 3)).await.unwrap();
    let head = log.head().await.unwrap();
    for end in ["db-wal", "db-shm"] {
        std::fs::remove_file(file.path().with_extension(end)).unwrap();
    }
    log.close().await;
    assert_eq!(of_the_file_alone(&file, "closed.db").await, Ok(head));
}

#[tokio::test]
async fn a_write_ahead_log_that_took_the_place_of_ours_is_left_alone() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let wal = file.path().with_extension("db-wal");
    std::fs::rename(&wal, file.directory.path().join("aside")).unwrap();
    std::fs::write(&wal, b"of another process").unwrap();
    log.close().await;
    assert_eq!(std::fs::read(&wal).unwrap(), b"of another process");
}

/// Else the writer would stand still for all of it, once the write-ahead log is full.
#[tokio::test]
async fn what_is_committed_goes_into_the_file_long_before_the_write_ahead_log_is_full() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let bytes = || std::fs::metadata(file.path()).unwrap().len();
    let empty = bytes();
    for _ in 0..4 {
        let head = log.head().await.unwrap();
        log.append(&head, &events(&head, 10_000)).await.unwrap();
    }
    let moved = async {
        while bytes() < empty + MOVED_BYTES {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, moved).await.expect("all of it is beside the file");
    let page = log.read(Position::GENESIS, PageLimit::new(50_000, usize::MAX)).await.unwrap();
    assert_eq!(page.events.len(), 40_001, "and is read from both");
}
