//! Appends that come too late are told why, whatever they were too late for.

use configapi_event_log::{AppendError, Epoch, EventLog};
use sqlx::{PgConnection, Row, raw_sql};

use crate::harness::{Database, execute};
use crate::writing::{append, batch, open};

/// An index that is made anew is asked after all others whether a row may come in.
#[tokio::test]
async fn a_lost_race_is_told_whichever_index_is_asked_first() {
    let database = Database::create().await;
    let (fast, slow) = (open(&database.url).await, open(&database.url).await);
    let mut owner = database.connect().await;
    for index in ["events_position_key", "events_stream_version_key", "events_request_id_key"] {
        execute(&mut owner, &format!("REINDEX INDEX CONCURRENTLY configapi.{index}")).await;
        // The same version of the same config.
        let head = fast.head().await.expect("the head");
        let (rows, _) = batch(&head, 2, None);
        fast.append(&head, &rows).await.expect("nobody was faster");
        assert_eq!(slow.append(&head, &rows).await, Err(AppendError::HeadMoved), "{index}");
        let turn = slow.take_turn().await.expect("a turn");
        assert_eq!(turn.append(&head, &rows).await, Err(AppendError::HeadMoved), "{index}");

        let head = fast.head().await.expect("the head");
        let (rows, _) = batch(&head, 1, Some(index));
        fast.append(&head, &rows).await.expect("nobody was faster");
        let outcome = slow.append(&head, &rows).await;
        let is_told = matches!(outcome, Err(AppendError::HeadMoved | AppendError::RequestIdTaken));
        assert!(is_told, "{index}: {outcome:?}");
    }
}

async fn until_waiting(owner: &mut PgConnection, count: i64) {
    let sql = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
               WHERE NOT granted AND datname = current_database()";
    loop {
        let row = raw_sql(sql).fetch_one(&mut *owner).await.expect("an answer");
        if row.get_unchecked::<String, _>(0).parse() == Ok(count) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_append_that_waits_while_an_epoch_begins_is_not_in_the_new_epoch() {
    let database = Database::create().await;
    let (operator, server) = (open(&database.url).await, open(&database.url).await);
    let head = append(&*server, 2).await;
    let mut owner = database.connect().await;
    // The epoch cannot be written yet, so whoever begins it stops in the turn.
    execute(&mut owner, "BEGIN; LOCK TABLE configapi.epochs IN SHARE MODE").await;
    let begun = tokio::spawn(async move { operator.begin_epoch(&head).await });
    until_waiting(&mut owner, 1).await;
    let appended = tokio::spawn(async move {
        let (rows, _) = batch(&head, 1, None);
        (server.append(&head, &rows).await, server)
    });
    until_waiting(&mut owner, 2).await;
    execute(&mut owner, "ROLLBACK").await;
    assert_eq!(begun.await.expect("an answer"), Ok(Epoch(2)));
    let (outcome, server) = appended.await.expect("an answer");
    assert_eq!(outcome, Err(AppendError::HeadGone));
    let end = server.head().await.expect("the head");
    assert_eq!((end.position, end.epoch), (head.position, Epoch(2)));
}
