//! Databases and roles have settings of their own for every session. What they say does not change what
//! is in the log, nor what is read from it.

use configapi_event_log::EventLog;
use configapi_event_log::domain::{Point, Version};
use configapi_event_log_postgres::migrate;
use sqlx::raw_sql;

use crate::harness::{Database, execute};
use crate::writing::{append, batch, open, verify};

#[tokio::test]
async fn a_log_is_made_and_written_whatever_a_database_sets_for_its_sessions() {
    let settings = [
        ("standard_conforming_strings", "off"),
        ("search_path", "pg_temp, public"),
        ("search_path", ""),
        ("default_transaction_isolation", "serializable"),
        ("bytea_output", "escape"),
        ("transform_null_equals", "on"),
        ("DateStyle", "German"),
        ("enable_indexscan", "off"),
        ("backslash_quote", "off"),
    ];
    for (name, value) in settings {
        let database = Database::create().await;
        let mut owner = database.connect().await;
        execute(&mut owner, &format!("ALTER DATABASE {} SET {name} = '{value}'", database.name))
            .await;
        migrate(&database.url).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let log = open(&database.url).await;
        let head = append(&*log, 3).await;
        let (rows, end) = batch(&head, 2, Some("keyed"));
        log.append(&head, &rows).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(log.head().await.expect("the head"), end, "{name}");
        assert_eq!(log.requests(&["keyed"], 9_999).await.expect("rows").rows, rows[..1], "{name}");
        let stream = &*rows[0].stream;
        assert_eq!(log.newest(&[stream], 9_999).await.expect("rows").rows, rows[..1], "{name}");
        let at = log.streams_at(&[(stream, Point::Version(Version(1)))], 9_999).await;
        assert_eq!(at.expect("rows"), [Some(rows[0].clone())], "{name}");
        log.begin_epoch(&end).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        append(&*log, 1).await;
        assert_eq!(verify(&*log).await.map(|rows| rows.len()), Ok(7), "{name}");
    }
}

/// Each waits for its turn, and must see then what the one before it has made.
#[tokio::test]
async fn two_that_make_a_log_at_once_agree_on_one_whatever_transactions_see_by_default() {
    let database = Database::create().await;
    let mut owner = database.connect().await;
    let name = &database.name;
    let sql =
        format!("ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'");
    execute(&mut owner, &sql).await;
    execute(&mut owner, "BEGIN; SELECT pg_advisory_xact_lock(7165066918303850864)").await;
    let both = [(); 2].map(|()| {
        let url = database.url.clone();
        tokio::spawn(async move { migrate(&url).await })
    });
    let waiting = "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) \
                   WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()";
    // Within its transaction the owner would be told for ever what was when it asked first.
    let mut other = database.connect().await;
    while raw_sql(waiting).fetch_all(&mut other).await.expect("an answer").len() < 2 {
        tokio::task::yield_now().await;
    }
    execute(&mut owner, "COMMIT").await;
    for migrated in both {
        assert_eq!(migrated.await.expect("ended"), Ok(()));
    }
    assert_eq!(verify(&*open(&database.url).await).await.map(|rows| rows.len()), Ok(1));
}
