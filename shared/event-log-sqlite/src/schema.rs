//! The schema of the file: made, brought up to date, or refused if a newer program made it.

use std::time::{Duration, Instant};

use configapi_event_log::{Beginning, EpochStart, LogError, genesis};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, Connection, SqlSafeStr};

use crate::fault::log_error;
use crate::key::make_keys;
use crate::place::Place;
use crate::row::{EventType, INSERT_COLUMNS, bind, signed};

/// Every change of the schema ever made, oldest first. What was released never changes.
const MIGRATIONS: [&str; 6] = [
    include_str!("../migrations/0001_log.sql"),
    include_str!("../migrations/0002_streams.sql"),
    include_str!("../migrations/0003_requests.sql"),
    include_str!("../migrations/0004_indexed.sql"),
    include_str!("../migrations/0005_versions.sql"),
    include_str!("../migrations/0006_keys.sql"),
];

/// How many there were before the one that needs the keys of streams.
const BEFORE_KEYS: usize = 5;

/// "CfgA": says that a file is ours, in the header, where SQLite keeps such marks.
const APPLICATION_ID: i64 = 0x4366_6741;

/// How long another process may take from making a file to beginning a log in it.
const MAX_BEGINNING: Duration = Duration::from_secs(2);
/// The pause between two looks at what it does.
const BEGINNING_PAUSE: Duration = Duration::from_millis(10);

/// What the header of a file says.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Nothing was ever made in it.
    Empty,
    /// A log, after so many migrations.
    Log(usize),
}

/// Makes or updates the schema, under the lock that all writers need. Only a log that begins here
/// begins like this; whether it does is the answer.
pub(crate) async fn prepare(
    pool: &SqlitePool,
    place: &Place,
    beginning: &Beginning,
) -> Result<bool, LogError> {
    let mut connection = pool.acquire().await.map_err(|error| log_error(&error))?;
    if found(&mut connection, place).await? == Found::Log(MIGRATIONS.len()) {
        return Ok(false);
    }
    let mut transaction =
        connection.begin_with("BEGIN IMMEDIATE").await.map_err(|error| log_error(&error))?;
    // Whoever was first has done it all.
    let done = match found(&mut transaction, place).await? {
        Found::Empty => 0,
        Found::Log(done) => done,
    };
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        if number == BEFORE_KEYS {
            make_keys(&mut transaction).await?;
        }
        run(&mut transaction, *migration).await?;
    }
    if done == 0 {
        begin_log(&mut transaction, beginning).await?;
        run(&mut transaction, AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION_ID}")))
            .await?;
    }
    let version = format!("PRAGMA user_version = {}", MIGRATIONS.len());
    run(&mut transaction, AssertSqlSafe(version)).await?;
    transaction.commit().await.map_err(|error| log_error(&error))?;
    Ok(done == 0)
}

/// For a file in which no log may begin, because it had something in it. Somebody else may be about to
/// begin one in it, so it is given a moment.
pub(crate) async fn must_hold_a_log(pool: &SqlitePool, place: &Place) -> Result<(), LogError> {
    let mut connection = pool.acquire().await.map_err(|error| log_error(&error))?;
    let looked_at = Instant::now();
    while found(&mut connection, place).await? == Found::Empty {
        if looked_at.elapsed() > MAX_BEGINNING {
            return Err(LogError::Unusable(format!(
                "{} is an SQLite file without a log; its -wal may have been left behind: bring that \
                 too, choose another path, or remove the file",
                place.shown()
            )));
        }
        tokio::time::sleep(BEGINNING_PAUSE).await;
    }
    Ok(())
}

/// For readers: the file must hold a log that this program knows. Events are read in the same way from
/// one that its writer has still to bring up to date.
pub(crate) async fn check(pool: &SqlitePool, place: &Place) -> Result<(), LogError> {
    let mut connection = pool.acquire().await.map_err(|error| log_error(&error))?;
    if let Found::Log(1..) = found(&mut connection, place).await? {
        return Ok(());
    }
    let place = place.shown();
    Err(LogError::Unavailable(format!("{place} holds no log yet; its writer has to begin it")))
}

async fn found(connection: &mut SqliteConnection, place: &Place) -> Result<Found, LogError> {
    const LOOK: &str = "SELECT (SELECT application_id FROM pragma_application_id), \
         (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)";
    let (application, version, tables): (i64, i64, i64) =
        sqlx::query_as(LOOK).fetch_one(connection).await.map_err(|error| log_error(&error))?;
    let place = place.shown();
    if tables == 0 {
        return Ok(Found::Empty);
    }
    if application != APPLICATION_ID {
        let problem = format!("{place} is a database of another program");
        return Err(LogError::Unusable(problem));
    }
    let known = MIGRATIONS.len();
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(Found::Log(version)),
        _ => Err(LogError::Unusable(format!(
            "{place} was made by a newer program: its schema has version {version}, this program \
             knows {known}"
        ))),
    }
}

async fn run(connection: &mut SqliteConnection, sql: impl SqlSafeStr) -> Result<(), LogError> {
    match sqlx::raw_sql(sql).execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) => Err(log_error(&error)),
    }
}

async fn begin_log(
    connection: &mut SqliteConnection,
    beginning: &Beginning,
) -> Result<(), LogError> {
    let Beginning { log_id, began_at, ref lineage } = *beginning;
    let mut arguments = SqliteArguments::default();
    bind(&mut arguments, &genesis(log_id, began_at), &mut EventType::default())
        .map_err(|error| LogError::Unusable(error.to_string()))?;
    let sql = format!("INSERT INTO events ({INSERT_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)");
    let genesis = sqlx::query_with(AssertSqlSafe(sql), arguments);
    genesis.execute(&mut *connection).await.map_err(|error| log_error(&error))?;
    for start in lineage.later() {
        begin_epoch(connection, *start).await?;
    }
    Ok(())
}

/// Writes that an epoch begins there.
pub(crate) async fn begin_epoch(
    connection: &mut SqliteConnection,
    start: EpochStart,
) -> Result<(), LogError> {
    sqlx::query("INSERT INTO epochs (epoch, first_position) VALUES (?, ?)")
        .bind(signed(start.epoch.0))
        .bind(signed(start.first_position.0))
        .execute(connection)
        .await
        .map_err(|error| log_error(&error))?;
    Ok(())
}
