//! A server that cuts, refuses or stalls: what is told to the writer is true, and service returns
//! by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use configapi_event_log::domain::{Position, Version};
use configapi_event_log::{AppendError, EventLog, PageLimit, StoredEvent, seal};
use configapi_event_log_postgres::{Access, PostgresLog};
use sqlx::{AssertSqlSafe, Connection, Row, raw_sql};

use crate::harness::{Database, execute, is_slow_wanted};
use crate::writing::{append, batch, open, verify, write_keyed};

pub(crate) const CUT_ALL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND application_name = 'configapi'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_under_load_heal_and_lose_nothing() {
    const WRITERS: usize = 3;
    const EACH: usize = 40;
    const CUTS: usize = 12;
    let database = Database::create().await;
    let log = open(&database.url).await;
    let written = Arc::new(AtomicUsize::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (log, written) = (Arc::clone(&log), Arc::clone(&written));
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..EACH {
                acknowledged.push(write_keyed(&*log, &format!("{writer}-{number}")).await);
                written.fetch_add(1, Ordering::AcqRel);
            }
            acknowledged
        });
    }
    let mut owner = database.connect().await;
    for cut in 1..=CUTS {
        while written.load(Ordering::Acquire) < cut * WRITERS * EACH / (CUTS + 1) {
            tokio::task::yield_now().await;
        }
        execute(&mut owner, CUT_ALL).await;
    }
    let acknowledged: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    let rows = verify(&*log).await.expect("a sound log");
    assert_eq!(rows.len(), 1 + WRITERS * EACH, "each request is there once");
    assert!(acknowledged.iter().all(|row| rows.contains(row)), "an acknowledged event is lost");
}

#[tokio::test]
async fn a_commit_is_durable_whatever_the_database_defaults_to() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    let mut owner = database.connect().await;
    // The trigger stands in for the commit: it sees the setting that the commit will see.
    execute(
        &mut owner,
        "CREATE TABLE seen (setting text); \
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$; \
         CREATE TRIGGER see AFTER INSERT ON configapi.events EXECUTE FUNCTION see()",
    )
    .await;
    let defaults = ["off", "local", "remote_write", "on", "remote_apply"];
    for default in defaults {
        let name = &database.name;
        let sql = format!("ALTER DATABASE {name} SET synchronous_commit = '{default}'");
        execute(&mut owner, &sql).await;
        let log = open(&database.url).await;
        append(&*log, 1).await;
        let head = log.head().await.expect("the head");
        let turn = log.take_turn().await.expect("a turn");
        turn.append(&head, &batch(&head, 1, None).0).await.expect("appended in turn");
    }
    let rows = raw_sql("SELECT setting FROM seen").fetch_all(&mut owner).await.expect("rows");
    let seen: Vec<String> = rows.iter().map(|row| row.get_unchecked(0)).collect();
    let expected = ["on", "on", "on", "on", "on", "on", "on", "on", "remote_apply", "remote_apply"];
    assert_eq!(seen, expected);
    drop(log);
}

#[tokio::test]
async fn what_no_row_may_hold_is_refused_and_leaves_nothing() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    let before = append(&*log, 2).await;
    let (mut rows, _) = batch(&before, 2, None);
    // The database itself refuses this one.
    rows[1].stream = "default/nul\0".into();
    let (mut other, _) = batch(&before, 1, None);
    other[0].version = Version(0);
    let (mut third, _) = batch(&before, 1, None);
    third[0].event_type = "x".repeat(65).into();
    for (mut rows, reason) in [(rows, "SQLSTATE 2"), (other, "version"), (third, "length")] {
        let mut hash = before.hash;
        for row in &mut rows {
            seal(hash, row);
            hash = row.hash;
        }
        let outcome = log.append(&before, &rows).await;
        let Err(AppendError::Refused(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains(reason), "{why}");
    }
    assert_eq!(log.head().await.expect("the head"), before);
    append(&*log, 1).await;
}

/// Only what certainly happened to an append may be told of it.
#[tokio::test]
async fn what_becomes_of_an_append_follows_from_what_the_database_says() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    let head = append(&*log, 1).await;
    let mut owner = database.connect().await;
    execute(
        &mut owner,
        "CREATE TABLE told (code text); INSERT INTO told VALUES (''); \
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'as told' USING ERRCODE = (SELECT code FROM told); END $$; \
         CREATE TRIGGER tell BEFORE INSERT ON configapi.events EXECUTE FUNCTION tell()",
    )
    .await;
    let (rows, _) = batch(&head, 1, None);
    let faster = ["40001", "40P01"];
    let refused = ["22003", "23514", "54000"];
    let not_now = ["53100", "55P03", "57014", "42P01", "42501"];
    let unknown = ["08006", "40003", "58030", "XX000"];
    let cases = faster.iter().chain(&refused).chain(&not_now).chain(&unknown);
    for code in cases {
        execute(&mut owner, &format!("UPDATE told SET code = '{code}'")).await;
        let outcome = log.append(&head, &rows).await;
        let is_right = match &outcome {
            Err(AppendError::HeadMoved) => faster.contains(code),
            Err(AppendError::Refused(why)) => refused.contains(code) && why.contains(code),
            Err(AppendError::Unavailable(why)) => not_now.contains(code) && why.contains(code),
            Err(AppendError::Unknown(why)) => unknown.contains(code) && why.contains(code),
            _ => false,
        };
        assert!(is_right, "{code}: {outcome:?}");
        assert_eq!(log.head().await.expect("the head"), head);
    }
    execute(&mut owner, "DROP TRIGGER tell ON configapi.events").await;
    log.append(&head, &rows).await.expect("nothing was in the way any more");
}

#[tokio::test]
async fn a_cancelled_or_read_only_append_wrote_nothing_and_says_so() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    let head = append(&*log, 1).await;
    let mut owner = database.connect().await;
    // Somebody holds the turn, so that the append waits where it can be cancelled.
    execute(&mut owner, "BEGIN; SELECT pg_advisory_xact_lock(7165066918303850864)").await;
    let cancel = async {
        let mut other = database.connect().await;
        let sql = "SELECT pg_cancel_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) \
                   WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()";
        while raw_sql(sql).fetch_all(&mut other).await.expect("an answer").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let (rows, _) = batch(&head, 1, None);
    let (outcome, ()) = tokio::join!(log.append(&head, &rows), cancel);
    let Err(AppendError::Unavailable(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("57014"), "{why}");
    execute(&mut owner, "ROLLBACK").await;

    let name = &database.name;
    let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    execute(&mut owner, &sql).await;
    let read_only = PostgresLog::open(&database.url, Access::ReadWrite).await.expect("opened");
    let outcome = read_only.append(&head, &rows).await;
    let Err(AppendError::Unavailable(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("25006"), "{why}");
    assert_eq!(log.head().await.expect("the head"), head);
    log.append(&head, &rows).await.expect("nothing was in the way any more");
}

#[tokio::test]
async fn a_writer_that_stops_in_its_turn_loses_it_and_nobody_waits_for_ever() {
    if !is_slow_wanted("a writer that stops in its turn") {
        return;
    }
    let database = Database::create().await;
    let log = open(&database.url).await;
    let head = append(&*log, 1).await;
    let stopped = log.take_turn().await.expect("a turn");
    // The database ends the idle transaction after three seconds; the append waits up to five.
    let (rows, end) = batch(&head, 1, None);
    log.append(&head, &rows).await.expect("the turn was taken away");
    let outcome = stopped.append(&head, &batch(&head, 1, None).0).await;
    let is_told = matches!(outcome, Err(AppendError::Unavailable(_) | AppendError::HeadMoved));
    assert!(is_told, "{outcome:?}");
    assert_eq!(log.head().await.expect("the head"), end);
}

#[tokio::test]
async fn an_append_without_an_answer_is_unknown_and_can_be_looked_up() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    let head = append(&*log, 1).await;
    let mut owner = database.connect().await;
    execute(&mut owner, "BEGIN; SELECT pg_advisory_xact_lock(7165066918303850864)").await;
    let cut = async {
        let mut other = database.connect().await;
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity \
                   USING (pid) WHERE locktype = 'advisory' AND NOT granted \
                   AND datname = current_database()";
        while raw_sql(sql).fetch_all(&mut other).await.expect("an answer").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let (rows, end) = batch(&head, 1, Some("ambiguous"));
    let (outcome, ()) = tokio::join!(log.append(&head, &rows), cut);
    assert!(matches!(outcome, Err(AppendError::Unknown(_))), "{outcome:?}");
    execute(&mut owner, "ROLLBACK").await;
    owner.close().await.expect("closed");

    let mut turn = log.take_turn().await.expect("a turn");
    let page = turn.read(head.position, PageLimit::TAIL).await.expect("a page");
    assert_eq!(page.events.len(), 1, "it was not written");
    turn.append(&head, &rows).await.expect("appended again");
    assert_eq!(log.head().await.expect("the head"), end);
}

#[tokio::test]
async fn a_reader_whose_statement_a_standby_cancels_is_told_why() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    execute(
        &mut database.connect().await,
        "CREATE FUNCTION cancelled() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
         RAISE 'canceling statement due to conflict with recovery' USING ERRCODE = '40001'; END $$; \
         ALTER TABLE configapi.events RENAME TO kept; \
         CREATE VIEW configapi.events AS SELECT * FROM configapi.kept WHERE cancelled()",
    )
    .await;
    let error = log.head().await.expect_err("cancelled");
    let told = "the store is not available: canceling statement due to conflict with recovery \
                (SQLSTATE 40001)";
    assert_eq!(error.to_string(), told);
}

#[tokio::test]
async fn large_rows_after_small_ones_do_not_flood_a_page() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    append(&*log, 700).await;
    verify(&*log).await.expect("pages of small rows");
    let mut owner = database.connect().await;
    // No real events, but real weight; the page must end by its bytes, and the next one go on.
    let sql = "SET session_replication_role = replica; \
               UPDATE configapi.events SET payload = convert_to(repeat('x', 100000), 'UTF8') \
               WHERE position > 100";
    raw_sql(AssertSqlSafe(sql)).execute(&mut owner).await.expect("heavier rows");
    for events in [PageLimit::TAIL.events(), PageLimit::REPLAY.events()] {
        let limit = PageLimit::new(events, 1 << 20);
        let (mut from, mut pages) = (Position::GENESIS, 0);
        loop {
            let page = log.read(from, limit).await.expect("a page");
            let bytes: usize = page.events.iter().map(StoredEvent::weight_bytes).sum();
            assert!(bytes < 2 << 20, "a page of {bytes} bytes");
            from = page.events.last().expect("the anchor").position;
            pages += 1;
            if !page.is_cut {
                break;
            }
        }
        assert_eq!(from.0, 700);
        assert!(pages > 50);
    }
}
