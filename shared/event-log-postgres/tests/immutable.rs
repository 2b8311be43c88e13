//! What was recorded stays: the database itself refuses every other statement, and what somebody
//! does behind its back is found.

use configapi_event_log::domain::Position;
use configapi_event_log::{EventLog, LogError};
use configapi_event_log_postgres::{Access, PostgresLog};
use sqlx::{AssertSqlSafe, Row, raw_sql};

use crate::harness::{Database, execute};
use crate::writing::{append, open, verify};

#[tokio::test]
async fn the_database_refuses_to_change_or_remove_what_is_recorded() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    append(&*log, 3).await;
    let before = verify(&*log).await.expect("a sound log");
    let mut owner = database.connect().await;
    for statement in [
        "UPDATE configapi.events SET payload = '{}' WHERE position = 1",
        "UPDATE configapi.events SET payload = payload",
        "DELETE FROM configapi.events WHERE position = 3",
        "DELETE FROM configapi.events WHERE false",
        "TRUNCATE configapi.events",
        "UPDATE configapi.epochs SET first_position = 2",
        "DELETE FROM configapi.epochs",
        "TRUNCATE configapi.epochs",
        "TRUNCATE configapi.events, configapi.epochs",
        "DELETE FROM configapi.schema_versions",
        "INSERT INTO configapi.events SELECT * FROM configapi.events WHERE position = 1 \
         ON CONFLICT (position) DO UPDATE SET payload = '{}'",
    ] {
        let error = raw_sql(statement).execute(&mut owner).await.expect_err(statement);
        let text = error.to_string();
        assert!(text.contains("the log is never changed"), "{statement}: {text}");
    }
    assert_eq!(verify(&*log).await.expect("a sound log"), before);
}

#[tokio::test]
async fn people_can_read_the_log_with_plain_sql() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    append(&*log, 1).await;
    let mut owner = database.connect().await;
    let sql = "SELECT namespace, name, version::text, payload ->> 'value', \
               (recorded_at = timestamptz 'epoch' + (SELECT max(recorded_at) \
                FROM configapi.events) * interval '1 microsecond')::text \
               FROM configapi.events_readable WHERE position = 1";
    let row = raw_sql(sql).fetch_one(&mut owner).await.expect("a row");
    let texts: Vec<String> = (0..5).map(|at| row.get_unchecked(at)).collect();
    assert_eq!(texts, ["default", "event/1", "1", "value of event/1", "true"]);
}

/// No page holds it, so the chain says nothing of it.
#[tokio::test]
async fn a_row_before_the_first_is_found() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    append(&*log, 3).await;
    let mut intruder = database.connect().await;
    execute(
        &mut intruder,
        "INSERT INTO configapi.events (position, version, recorded_at, part_index, part_size, \
         schema_version, stream, event_type, payload, metadata, hash) \
         SELECT -7, 1000, recorded_at, part_index, part_size, schema_version, stream, event_type, \
         payload, metadata, hash FROM configapi.events WHERE position = 2",
    )
    .await;
    let error = log.identity().await.expect_err("a row before the first").to_string();
    assert_eq!(error, "the log is corrupt at position 0: a row lies before it, at -7");
}

/// One of many ways to tamper with a row, as statements.
fn tampering(kind: u64, row: u64, dice: u64) -> String {
    let set = |change: &str| format!("UPDATE configapi.events SET {change} WHERE position = {row}");
    let flip = |column: &str| {
        let at = dice % 20;
        set(&format!("{column} = set_byte({column}, {at}, get_byte({column}, {at}) # 1)"))
    };
    match kind {
        0 => flip("payload"),
        1 => set("metadata = metadata || ' '::bytea"),
        2 => flip("hash"),
        3 => set("stream = stream || 'x'"),
        4 => set("version = version + 1000"),
        5 => set("recorded_at = recorded_at + 1"),
        6 => set("recorded_at = recorded_at - 1"),
        7 => set("event_type = 'ConfigValueDeleted'"),
        8 => set("schema_version = schema_version + 1"),
        9 => set("request_id = 'forged'"),
        10 => set("part_size = part_size + 1"),
        11 => format!("DELETE FROM configapi.events WHERE position = {row}"),
        12 => format!(
            "DELETE FROM configapi.events WHERE position = {row}; \
             UPDATE configapi.events SET position = -position WHERE position > {row}; \
             UPDATE configapi.events SET position = -position - 1 WHERE position < 0"
        ),
        13 => format!(
            "UPDATE configapi.events SET position = 1000000 WHERE position = {row}; \
             UPDATE configapi.events SET position = {row} WHERE position = {row} + 1; \
             UPDATE configapi.events SET position = {row} + 1 WHERE position = 1000000"
        ),
        14 => format!(
            "UPDATE configapi.events e SET payload = o.payload FROM configapi.events o \
             WHERE e.position = {row} AND o.position = {row} + 1"
        ),
        _ => format!(
            "UPDATE configapi.events e SET hash = o.hash FROM configapi.events o \
             WHERE e.position = {row} AND o.position = {row} + 1"
        ),
    }
}

/// With triggers out of the way, as only a superuser can.
#[tokio::test]
async fn each_of_two_hundred_changes_behind_its_back_is_found() {
    const ROWS: usize = 40;
    const KINDS: u64 = 16;
    let database = Database::create().await;
    let log = open(&database.url).await;
    append(&*log, ROWS).await;
    let sound = verify(&*log).await.expect("a sound log");
    let mut intruder = database.connect().await;
    execute(
        &mut intruder,
        "SET session_replication_role = replica; \
         CREATE TABLE original AS SELECT * FROM configapi.events",
    )
    .await;
    let mut dice: u64 = 0x2545_F491_4F6C_DD1D;
    let mut found = 0;
    for number in 0..200 {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        // Not the last row: that a log ends early, its own chain cannot know.
        let row = dice % (ROWS as u64 - 1) + 1;
        let statement = tampering(number % KINDS, row, dice >> 32);
        execute(&mut intruder, &format!("BEGIN; {statement}; COMMIT")).await;
        let verdict = verify(&*log).await;
        assert!(verdict.is_err(), "not found: {statement}");
        found += 1;
        let undo = "BEGIN; DELETE FROM configapi.events; \
                    INSERT INTO configapi.events SELECT * FROM original; COMMIT";
        raw_sql(AssertSqlSafe(undo)).execute(&mut intruder).await.expect("undone");
    }
    assert_eq!(found, 200);
    assert_eq!(verify(&*log).await.expect("a sound log again"), sound);
    assert_eq!(log.head().await.expect("the head").hash, sound[ROWS].hash);
}

/// Nothing is wrong with the way there, and to wait would not help.
#[tokio::test]
async fn a_log_whose_rows_are_gone_or_whose_head_is_none_is_not_taken_for_a_silent_one() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    append(&*log, 3).await;
    let mut intruder = database.connect().await;
    let edit = "SET session_replication_role = replica; \
                UPDATE configapi.events SET hash = '' WHERE position = 3";
    execute(&mut intruder, edit).await;
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let told = PostgresLog::open(&database.url, access).await.expect_err("no head");
        let is_corrupt =
            matches!(told, LogError::Corrupt { position, .. } if position == Position(3));
        assert!(is_corrupt, "{told:?}");
    }
    execute(&mut intruder, "DELETE FROM configapi.events").await;
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let told = PostgresLog::open(&database.url, access).await.expect_err("no log");
        let is_unusable = matches!(&told, LogError::Unusable(why) if why.contains("no genesis"));
        assert!(is_unusable, "{told:?}");
    }
}
