//! Notifications: whoever may connect to the database can send them, so they are never believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use configapi_event_log::EventLog;
use sqlx::{PgConnection, raw_sql};

use crate::harness::{Database, execute};
use crate::writing::{append, open};

/// Longer than a test waits: a wait that lasts so long was not woken.
const FOREVER: Duration = Duration::from_mins(10);
/// A wake-up is prompt if it comes within this time on the slowest machine.
const PROMPT: Duration = Duration::from_secs(5);

pub(crate) async fn until_listening(owner: &mut PgConnection) {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
               AND state = 'idle' AND query LIKE 'LISTEN %'";
    while raw_sql(sql).fetch_all(&mut *owner).await.expect("an answer").is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_a_stranger_tells_wakes_a_reader_once_and_is_not_believed() {
    const PATIENCE: Duration = Duration::from_millis(200);
    let database = Database::create().await;
    let (writer, reader) = (open(&database.url).await, open(&database.url).await);
    let beyond = append(&*writer, 1).await.position;
    let wait = |patience| {
        let reader = Arc::clone(&reader);
        tokio::spawn(async move { reader.grown(beyond, patience).await })
    };
    let woken = wait(FOREVER);
    let mut owner = database.connect().await;
    until_listening(&mut owner).await;
    for payload in ["9000000000000000000", "99999999999999999999", "-1", "", "what?"] {
        execute(&mut owner, &format!("NOTIFY configapi_events, '{payload}'")).await;
    }
    tokio::time::timeout(PROMPT, woken).await.expect("woken to look").expect("a wait");
    // There may be one more that was told of meanwhile.
    wait(PATIENCE).await.expect("a wait");
    let begun = Instant::now();
    wait(PATIENCE).await.expect("a wait");
    assert!(begun.elapsed() >= PATIENCE, "nothing is there, and a wait for it ends at once");

    let woken = wait(FOREVER);
    append(&*writer, 1).await;
    tokio::time::timeout(PROMPT, woken).await.expect("woken by an append").expect("a wait");
    assert!(reader.head().await.expect("the head").position > beyond);
}
