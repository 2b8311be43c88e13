//! A database that has no room for another notification, because somebody who listens does not take them:
//! it takes appends all the same, for a notification is only a hint.

use configapi_event_log::{AppendError, EventLog};

use crate::harness::{Database, execute};
use crate::writing::{append, batch, open, verify};

/// A database that says so of each notification. A real one has room for gigabytes of them.
async fn full_database() -> Database {
    let database = Database::create().await;
    drop(open(&database.url).await);
    let sql = format!(
        "CREATE SCHEMA full_queue; \
         CREATE FUNCTION full_queue.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN \
         RAISE 'too many notifications in the NOTIFY queue' USING ERRCODE = '54000'; END $$; \
         ALTER DATABASE {} SET search_path = full_queue, pg_catalog",
        database.name
    );
    execute(&mut database.connect().await, &sql).await;
    database
}

#[tokio::test]
async fn appends_that_nobody_can_be_told_of_are_made_all_the_same() {
    let database = full_database().await;
    let log = open(&database.url).await;
    append(&*log, 1).await;
    append(&*log, 3).await;
    let head = log.head().await.expect("the head");
    let turn = log.take_turn().await.expect("a turn");
    turn.append(&head, &batch(&head, 1, None).0).await.expect("appended in turn");
    assert_eq!(verify(&*log).await.map(|rows| rows.len()), Ok(6));
}

#[tokio::test]
async fn a_turn_in_which_nobody_can_be_told_is_lost_once() {
    let database = full_database().await;
    let log = open(&database.url).await;
    let head = log.head().await.expect("the head");
    let (rows, end) = batch(&head, 2, Some("keyed"));
    let turn = log.take_turn().await.expect("a turn");
    assert_eq!(turn.append(&head, &rows).await, Err(AppendError::HeadMoved));
    assert_eq!(log.head().await.expect("the head"), head);
    let turn = log.take_turn().await.expect("a turn");
    turn.append(&head, &rows).await.expect("appended in turn");
    assert_eq!(log.head().await.expect("the head"), end);
}
