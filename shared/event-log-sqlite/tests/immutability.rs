//! The database itself refuses to change what happened.

use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::Position;
use configapi_event_log::{AppendError, EventLog};
use configapi_event_log_sqlite::SqliteLog;

use crate::suite::{InFile, NOW};
use crate::writing::{console, events, run};

#[tokio::test]
async fn events_and_epochs_are_neither_updated_nor_deleted_nor_replaced() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    log.append(&head, &events(&head, 3)).await.unwrap();
    let before = log.read(Position::GENESIS, configapi_event_log::PageLimit::TAIL).await.unwrap();

    let mut console = console(&file.path()).await;
    let copy_of_first = |columns: &str| {
        format!(
            "INSERT OR REPLACE INTO events (position, version, recorded_at, part_index, part_size, \
             schema_version, stream, event_type, payload, metadata, hash) \
             SELECT {columns}, event_type, payload, metadata, hash FROM events WHERE position = 1"
        )
    };
    let replace_position = copy_of_first("2, 9, recorded_at, 0, 1, 1, 'a/b'");
    let leap = copy_of_first("9, 1, recorded_at, 0, 1, 1, 'a/b'");
    for sql in [
        "UPDATE events SET payload = '{}' WHERE position = 1",
        "UPDATE events SET position = 9 WHERE position = 3",
        "DELETE FROM events WHERE position = 3",
        "DELETE FROM events",
        "UPDATE epochs SET first_position = 2",
        "DELETE FROM epochs",
        "INSERT OR REPLACE INTO epochs (epoch, first_position) VALUES (1, 2)",
        "UPDATE indexed SET up_to = 3",
        "DELETE FROM indexed",
        &replace_position,
        &leap,
    ] {
        let outcome = run(&mut console, sql).await;
        let refusal = outcome.expect_err(sql);
        assert!(refusal.contains("the log is immutable"), "{sql}: {refusal}");
    }
    let after = log.read(Position::GENESIS, configapi_event_log::PageLimit::TAIL).await.unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn the_keys_hold_even_if_somebody_drops_the_triggers() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    run(&mut console(&file.path()).await, "DROP TRIGGER events_are_not_replaced").await.unwrap();
    let stale = log.head().await.unwrap();
    let mut rows = events(&stale, 2);
    rows[1].request_id = Some("once".into());
    log.append(&stale, &rows).await.unwrap();
    assert_eq!(log.append(&stale, &rows).await, Err(AppendError::HeadMoved));

    let head = log.head().await.unwrap();
    let mut rows = events(&head, 1);
    rows[0].request_id = Some("once".into());
    assert_eq!(log.append(&head, &rows).await, Err(AppendError::RequestIdTaken));
    rows[0].request_id = None;
    rows[0].stream = "default/config/1".into();
    let outcome = log.append(&head, &rows).await;
    assert!(matches!(outcome, Err(AppendError::Refused(_))), "{outcome:?}");
    assert_eq!(log.head().await.unwrap(), head);
}

#[tokio::test]
async fn the_log_can_be_read_by_people() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    log.append(&head, &events(&head, 1)).await.unwrap();
    let row: (i64, String, String, String, String) = sqlx::query_as(
        "SELECT position, stream, event_type, recorded_at, payload ->> 'value' FROM readable \
         WHERE position = 1",
    )
    .fetch_one(&mut console(&file.path()).await)
    .await
    .unwrap();
    let time = "2023-11-14T22:13:20.000001Z".to_owned();
    let stream = "default/config/1".to_owned();
    assert_eq!(row, (1, stream, "ConfigValueSet".to_owned(), time, "value 1".to_owned()));
}
