//! A disk that fails: service returns by itself.

use std::path::Path;

use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::Position;
use configapi_event_log::{Epoch, EventLog, PageLimit};
use configapi_event_log_sqlite::SqliteLog;

use crate::suite::{InFile, NOW};
use crate::writing::{console, events, run};

/// From now on SQLite rolls back by itself where a row of this position comes, as it does when the
/// disk is full.
async fn fail_at(path: &Path, position: u64) {
    let sql = format!(
        "CREATE TRIGGER disk_is_full AFTER INSERT ON events WHEN NEW.position = {position} \
         BEGIN SELECT RAISE(ROLLBACK, 'as if the disk were full'); END"
    );
    run(&mut console(path).await, &sql).await.unwrap();
}

async fn heal(path: &Path) {
    run(&mut console(path).await, "DROP TRIGGER disk_is_full").await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_keeps_nobody_from_writing() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    let rows = events(&head, 1_500);

    fail_at(&file.path(), 1_200).await;
    let error = log.append(&head, &rows).await.unwrap_err();
    assert!(error.to_string().contains("as if the disk were full"), "{error}");
    heal(&file.path()).await;
    drop(log.take_turn().await.unwrap());
    log.append(&head, &rows).await.unwrap();

    let head = log.head().await.unwrap();
    let rows = events(&head, 2);
    fail_at(&file.path(), 1_502).await;
    let error = log.take_turn().await.unwrap().append(&head, &rows).await.unwrap_err();
    assert!(error.to_string().contains("as if the disk were full"), "{error}");
    heal(&file.path()).await;
    let mut turn = log.take_turn().await.unwrap();
    let page = turn.read(head.position, PageLimit::TAIL).await.unwrap();
    assert_eq!(page.events.len(), 1, "a refused batch left something");
    turn.append(&head, &rows).await.unwrap();
    let head = log.head().await.unwrap();
    assert_eq!(head.position, Position(1_502));
    assert_eq!(log.begin_epoch(&head).await, Ok(Epoch(2)));
}
