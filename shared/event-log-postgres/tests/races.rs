//! Appends that come too late are told why, whatever they were too late for.

use configapi_event_log::{AppendError, EventLog};

use crate::harness::{Database, execute};
use crate::writing::{batch, open};

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
