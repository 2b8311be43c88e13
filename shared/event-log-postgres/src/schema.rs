//! The tables of the log: making them, and knowing them. All tables live in the schema `configapi`
//! and are always named with it, so no search path can lead us elsewhere.

use std::iter;

use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{Beginning, Epoch, EpochStart, LogError, StoredEvent, genesis};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, raw_sql};
use tokio::time::timeout;

use crate::limits::{CONNECT_BOUND, MIGRATE_BOUND};
use crate::lineage::{LOCK_KEY, timeline};
use crate::options::{Access, Target};
use crate::row::signed;
use crate::trouble::Trouble;

/// Each step, in order. A step that was ever released never changes.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_log.sql")];

const CREATE_SCHEMA: &str = "
    CREATE SCHEMA IF NOT EXISTS configapi;
    CREATE TABLE IF NOT EXISTS configapi.schema_versions (
        version    integer PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )";

/// Creates the log in a database, or brings its schema up to date. Safe to run at any time, by any
/// number of processes. The role must own the schema `configapi`, or may create it; the servers'
/// own roles need no more than `grants.sql` gives them.
pub async fn migrate(url: &str) -> Result<(), LogError> {
    prepare(url, None).await
}

/// As [`migrate`], for a log that has its beginning from elsewhere: from a backup. A database that
/// holds a log already is refused.
pub async fn begin(url: &str, beginning: &Beginning) -> Result<(), LogError> {
    prepare(url, Some(beginning.clone())).await
}

async fn prepare(url: &str, beginning: Option<Beginning>) -> Result<(), LogError> {
    let target = Target::parse(url, Access::ReadWrite)?;
    let connect = timeout(CONNECT_BOUND, target.options.connect());
    let mut connection = connect
        .await
        .map_err(|_| Trouble::timed_out_connecting(&target.place))?
        .map_err(|error| Trouble::of_connecting(error, &target.place))?;
    let outcome = bring_up_to_date(&mut connection, beginning).await;
    // It was only needed for this; the server cleans up if it does not hear the farewell.
    let _ = connection.close().await;
    outcome.map_err(LogError::from)
}

/// Checks that the schema is the one that this program works with; if the role may change it, and
/// `access` says so, brings it there.
pub(crate) async fn ensure(connection: &mut PgConnection, access: Access) -> Result<(), Trouble> {
    let found = version(connection).await?;
    if check(found)? {
        return Ok(());
    }
    let advice = "run `configapi migrate` with a role that may change the schema `configapi`";
    if access == Access::ReadOnly {
        let what = found.map_or("no log".to_owned(), |version| format!("schema {version}"));
        // Whoever writes may be about to make it.
        return Err(Trouble::NotNow(format!(
            "the database holds {what} yet, this program reads schema {CURRENT}; start a command \
             server, or {advice}"
        )));
    }
    match bring_up_to_date(connection, None).await {
        Err(Trouble::Unusable(why)) => Err(Trouble::Unusable(format!("{why}; {advice}"))),
        outcome => outcome,
    }
}

/// As [`ensure`] for a log that was found right before: a newer program may have changed it since. It
/// is never made anew under a process that knows it.
pub(crate) async fn ensure_unchanged(connection: &mut PgConnection) -> Result<(), Trouble> {
    let found = version(connection).await?;
    if check(found)? {
        return Ok(());
    }
    let what = found.map_or("no log".to_owned(), |version| format!("schema {version}"));
    Err(Trouble::NoSchema(format!(
        "the database holds {what} by now, this program works with schema {CURRENT}"
    )))
}

const CURRENT: usize = MIGRATIONS.len();

/// Whether this is the schema we know. A newer one is not ours to touch.
fn check(found: Option<usize>) -> Result<bool, Trouble> {
    match found {
        Some(version) if version > CURRENT => Err(Trouble::Unusable(format!(
            "the database holds schema {version}, this program knows {CURRENT}; use a newer program"
        ))),
        found => Ok(found == Some(CURRENT)),
    }
}

/// The newest step that was applied; none if there is no log.
async fn version(connection: &mut PgConnection) -> Result<Option<usize>, Trouble> {
    let sql = "SELECT max(version) FROM configapi.schema_versions";
    match raw_sql(sql).fetch_one(connection).await.map_err(Trouble::from) {
        Ok(row) => {
            let text: Option<String> = row.try_get_unchecked(0)?;
            Ok(text.and_then(|text| text.parse().ok()))
        }
        Err(Trouble::NoSchema(_)) => Ok(None),
        Err(Trouble::Unusable(why)) => Err(Trouble::Unusable(format!(
            "{why}; give this role the grants that grants.sql names"
        ))),
        Err(trouble) => Err(trouble),
    }
}

/// All of it in one transaction, under the lock that appends take too; whoever had to wait for that sees
/// what was made meanwhile, whatever the database's default is. With a beginning, only a log that begins
/// now is right.
async fn bring_up_to_date(
    connection: &mut PgConnection,
    beginning: Option<Beginning>,
) -> Result<(), Trouble> {
    let steps = async {
        let timeline = timeline(connection).await?;
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({LOCK_KEY})"
        );
        raw_sql(AssertSqlSafe(begin)).execute(&mut *connection).await?;
        let outcome = apply_missing(connection, &timeline, beginning).await;
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        raw_sql(end).execute(&mut *connection).await?;
        outcome
    };
    timeout(MIGRATE_BOUND, steps).await.map_err(|_| Trouble::timed_out("migrating"))?
}

async fn apply_missing(
    connection: &mut PgConnection,
    timeline: &str,
    mut beginning: Option<Beginning>,
) -> Result<(), Trouble> {
    raw_sql("SAVEPOINT looked").execute(&mut *connection).await?;
    let found = version(connection).await;
    if matches!(found, Ok(None)) {
        raw_sql("ROLLBACK TO SAVEPOINT looked").execute(&mut *connection).await?;
        raw_sql(CREATE_SCHEMA).execute(&mut *connection).await?;
    }
    let found = found?;
    if beginning.is_some() && found.is_some() {
        return Err(Trouble::Unusable("the database holds a log already".to_owned()));
    }
    // Somebody may have been faster, with whichever program.
    if check(found)? {
        return Ok(());
    }
    for (index, step) in MIGRATIONS.iter().enumerate().skip(found.unwrap_or(0)) {
        raw_sql(*step).execute(&mut *connection).await?;
        let record =
            format!("INSERT INTO configapi.schema_versions (version) VALUES ({})", index + 1);
        raw_sql(AssertSqlSafe(record)).execute(&mut *connection).await?;
        if index == 0 {
            let beginning = match beginning.take() {
                Some(beginning) => beginning,
                None => new_beginning(connection).await?,
            };
            start_log(connection, timeline, &beginning).await?;
        }
        tracing::info!(version = index + 1, "brought the log's schema up to date");
    }
    Ok(())
}

/// A log that begins now, by the database's clock.
async fn new_beginning(connection: &mut PgConnection) -> Result<Beginning, Trouble> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let row = raw_sql(sql).fetch_one(connection).await?;
    let now: String = row.try_get_unchecked(0)?;
    let now = now.parse().map_err(|_| Trouble::NotNow("the database has no clock".to_owned()))?;
    Ok(Beginning::new_at(Timestamp(now)))
}

/// Writes the genesis row and the epochs of a log that begins.
async fn start_log(
    connection: &mut PgConnection,
    timeline: &str,
    beginning: &Beginning,
) -> Result<(), Trouble> {
    let genesis = genesis(beginning.log_id, beginning.began_at);
    raw_sql(AssertSqlSafe(insert_genesis(&genesis))).execute(&mut *connection).await?;
    let first = EpochStart { epoch: Epoch::FIRST, first_position: Position(1) };
    for start in iter::once(&first).chain(beginning.lineage.later()) {
        sqlx::query(
            "INSERT INTO configapi.epochs (epoch, first_position, timeline) VALUES ($1, $2, $3)",
        )
        .bind(signed(start.epoch.0))
        .bind(signed(start.first_position.0))
        .bind(timeline)
        .persistent(false)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Its texts are all our own: a constant, a UUID in JSON, and numbers. None has a backslash, which means
/// another thing where `standard_conforming_strings` is off.
fn insert_genesis(row: &StoredEvent) -> String {
    format!(
        "INSERT INTO configapi.events (position, version, recorded_at, part_index, part_size, \
         schema_version, stream, event_type, payload, metadata, hash) \
         VALUES ({}, {}, {}, {}, {}, {}, '{}', '{}', '{}', '{}', decode('{}', 'hex'))",
        row.position,
        row.version,
        row.recorded_at.0,
        row.part.index,
        row.part.size,
        row.schema_version,
        row.stream,
        row.event_type,
        row.payload,
        row.metadata,
        row.hash,
    )
}
