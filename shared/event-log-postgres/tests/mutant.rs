//! Why positions are not a sequence: a tailer on a `bigserial` loses events, and the very check
//! that our log passes sees it. Without this test nobody would know whether the check bites.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{AssertSqlSafe, Connection, Row, raw_sql};

use crate::harness::{Database, connect, execute};

const WRITERS: u64 = 6;
const ROUNDS: u64 = 40;

/// Commits late, or not at all, as any writer may.
async fn write(url: String, writer: u64) {
    let mut connection = connect(&url).await;
    for round in 0..ROUNDS {
        let end = if (writer + round).is_multiple_of(5) { "ROLLBACK" } else { "COMMIT" };
        let delay_ms = (writer * 7 + round * 3) % 5;
        let sql = format!(
            "BEGIN; INSERT INTO naive (what) VALUES ('{writer}/{round}'); \
             SELECT pg_sleep({delay_ms} / 1000.0); {end}"
        );
        execute(&mut connection, &sql).await;
    }
    connection.close().await.expect("closed");
}

/// Remembers the last position it saw, and asks for what comes after it.
async fn tail(url: String, done: Arc<AtomicBool>) -> Vec<i64> {
    let mut connection = connect(&url).await;
    let mut seen: Vec<i64> = Vec::new();
    loop {
        let is_last_look = done.load(Ordering::Acquire);
        let last = seen.last().copied().unwrap_or(0);
        let sql = format!("SELECT position FROM naive WHERE position > {last} ORDER BY position");
        let rows = raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("rows");
        let text = |row| -> String { sqlx::postgres::PgRow::get_unchecked(row, 0) };
        seen.extend(rows.iter().map(|row| text(row).parse::<i64>().expect("a number")));
        if is_last_look {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_naive_tailer_on_a_sequence_is_seen_to_skip_events() {
    let database = Database::create().await;
    let mut owner = database.connect().await;
    execute(&mut owner, "CREATE TABLE naive (position bigserial PRIMARY KEY, what text)").await;
    let done = Arc::new(AtomicBool::new(false));
    let tailer = tokio::spawn(tail(database.url.clone(), Arc::clone(&done)));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(database.url.clone(), writer));
    }
    writers.join_all().await;
    done.store(true, Ordering::Release);
    let seen = tailer.await.expect("the tailer ends").len();

    let row = raw_sql("SELECT count(*) FROM naive").fetch_one(&mut owner).await.expect("a count");
    let text: String = row.get_unchecked(0);
    let written: usize = text.parse().expect("a number");
    assert!(seen < written, "the mutant survived: {seen} of {written} events were seen");
}
