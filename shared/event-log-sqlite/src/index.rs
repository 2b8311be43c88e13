//! The indexes of streams and of requests: written many events at once, in their own order.

use std::sync::{Arc, LazyLock};

use configapi_event_log::domain::{Position, Version};
use configapi_event_log::{AppendError, Epoch, Head, LogError};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, SqlStr};

use crate::append::shared;
use crate::fault::{corrupt, log_error, not_begun};
use crate::key::Key;
use crate::look_up::wrong;
use crate::read::list;
use crate::row::signed;
use crate::unindexed::{Newcomer, OfRequest, OfStream, Slice, Taken, Unindexed};

/// The most entries of one INSERT.
const MAX_ENTRIES: usize = 2_048;

/// Entries that are not there have no position, and are left out.
static ENTER_STREAMS: LazyLock<SqlStr> = LazyLock::new(|| {
    let values = vec!["(?,?,?)"; MAX_ENTRIES].join(",");
    shared(format!(
        "INSERT INTO versions (key, version, position) \
         SELECT * FROM (VALUES {values}) WHERE column3 IS NOT NULL"
    ))
});

/// The same.
static ENTER_REQUESTS: LazyLock<SqlStr> = LazyLock::new(|| {
    let values = vec!["(?,?)"; MAX_ENTRIES].join(",");
    shared(format!(
        "INSERT INTO requests (request_id, position) \
         SELECT * FROM (VALUES {values}) WHERE column2 IS NOT NULL"
    ))
});

/// Others may have said so too.
const ENTERED: &str = "INSERT INTO indexed (up_to, with_requests) SELECT ?1, 1 \
     WHERE NOT EXISTS (SELECT 1 FROM indexed WHERE up_to = ?1)";

/// Whether a list of streams, their keys, and versions names one that the index has, to be asked as a part of a
/// statement.
macro_rules! has_version {
    ($select:literal from $list:literal) => {
        concat!(
            "(SELECT ",
            $select,
            " FROM json_each(",
            $list,
            ") AS asked CROSS JOIN versions AS v \
             ON v.key = asked.value ->> 1 AND v.version = asked.value ->> 2 \
             CROSS JOIN events AS taken \
             ON taken.position = v.position AND taken.stream = asked.value ->> 0 LIMIT 1)"
        )
    };
}
pub(crate) use has_version;

/// Whether a head is in the log, and its epoch is the newest; where the log ends, and where a version is that
/// the index has.
const LOOK_AGAIN: &str = concat!(
    "SELECT EXISTS (SELECT 1 FROM events WHERE position = ?1 AND hash = ?2) \
     AND (SELECT max(epoch) FROM epochs) = ?3, (SELECT max(position) FROM events), ",
    has_version!("v.position" from "?4")
);

/// How many events are looked through with one statement.
const LOOKED_THROUGH: usize = 1_000;

/// The epoch, up to where the indexes have everything, where the log ends, and events that they do not have,
/// those behind a position.
const BEYOND: &str = "SELECT (SELECT max(epoch) FROM epochs), up_to, \
     (SELECT max(position) FROM events), \
     (SELECT json_group_array(json_array(position, stream, version, request_id)) FROM \
     (SELECT position, stream, version, request_id FROM events \
     WHERE position > max(up_to, ?1) AND position <= max(up_to, ?1) + ?2 ORDER BY position)) \
     FROM (SELECT coalesce(max(up_to), 0) AS up_to FROM indexed)";

/// Position, stream, version and request id.
type Beyond = (u64, Arc<str>, u64, Option<Arc<str>>);

/// Reads on what the indexes do not have, to the end of the log.
pub(crate) async fn catch_up(
    connection: &mut SqliteConnection,
    unindexed: &Unindexed,
) -> Result<(), LogError> {
    loop {
        let known = unindexed.known();
        let known_to = known.to.unwrap_or_default();
        let (epoch, indexed_to, newest, events): (Option<i64>, i64, Option<i64>, String) =
            sqlx::query_as(BEYOND)
                .bind(signed(known_to.0))
                .bind(i64::try_from(LOOKED_THROUGH).unwrap_or(i64::MAX))
                .fetch_one(&mut *connection)
                .await
                .map_err(|error| log_error(&error))?;
        let epoch = Epoch(epoch.unwrap_or(0).cast_unsigned());
        let [indexed_to, newest] =
            [indexed_to, newest.unwrap_or(0)].map(|position| Position(position.cast_unsigned()));
        if indexed_to > newest {
            return Err(wrong("streams", newest.next()));
        }
        // A log that lost a tail may have other events there.
        if known.epoch.is_some_and(|known| known != epoch) || newest < known_to {
            unindexed.forget(known);
            continue;
        }
        let events: Vec<Beyond> = serde_json::from_str(&events)
            .map_err(|_| corrupt(known_to.next().0, "an event there or behind it is none"))?;
        let is_all = events.len() < LOOKED_THROUGH;
        let begin = known_to.max(indexed_to).next().0;
        let dense = (begin..).zip(&events).take_while(|(expected, (found, ..))| expected == found);
        let missing = Position(begin + dense.count() as u64);
        if is_all && missing <= newest {
            return Err(corrupt(missing.0, "the event is missing"));
        }
        let events = events.into_iter().map(|(position, stream, version, request_id)| Newcomer {
            position: Position(position),
            stream,
            version: Version(version),
            request_id,
        });
        if unindexed.learn(epoch, indexed_to, events) && is_all {
            return Ok(());
        }
    }
}

/// What an append has to do with the indexes.
#[derive(Default)]
pub(crate) struct Due {
    /// What is to be entered with the same commit.
    pub(crate) slice: Option<Arc<Slice>>,
    /// The streams, keys and versions that must not be in the index: those that are not known here to be new.
    pub(crate) unproven: String,
}

/// For an append of these: reads on what the indexes do not have, and refuses what they could never have.
pub(crate) async fn due(
    connection: &mut SqliteConnection,
    unindexed: &Unindexed,
    head: &Head,
    events: &[Newcomer],
) -> Result<Due, AppendError> {
    // What is known beyond the head is beyond it in the log too, or the log has lost it.
    let known = unindexed.known();
    if known.to != Some(head.position) || known.epoch != Some(head.epoch) {
        let read = catch_up(connection, unindexed).await;
        read.map_err(|error| AppendError::Unavailable(error.to_string()))?;
    }
    // Whoever was faster is told of by the log.
    let unproven = if unindexed.known().to == Some(head.position) {
        match unindexed.taken(events) {
            Ok(unproven) => unproven,
            Err(Taken::RequestId) => return Err(AppendError::RequestIdTaken),
            Err(Taken::Version(position)) => return Err(version_taken(position)),
        }
    } else {
        events.iter().collect()
    };
    let unproven: Vec<_> = unproven
        .iter()
        .map(|it| (&it.stream, Key::of(&it.stream).number(), signed(it.version.0)))
        .collect();
    let unproven = list(&unproven).map_err(|error| AppendError::Refused(error.to_string()))?;
    Ok(Due { slice: unindexed.due(), unproven })
}

/// Why nothing was appended on a head: it is gone, or another was faster, or a version is taken.
pub(crate) async fn explain(
    connection: &mut SqliteConnection,
    head: &Head,
    unproven: &str,
) -> AppendError {
    let look = sqlx::query_as(LOOK_AGAIN)
        .bind(signed(head.position.0))
        .bind(&head.hash.0[..])
        .bind(signed(head.epoch.0))
        .bind(unproven);
    let found: Result<(bool, i64, Option<i64>), _> = look.fetch_one(connection).await;
    match found {
        Ok((true, newest, _)) if newest > signed(head.position.0) => AppendError::HeadMoved,
        Ok((true, _, Some(taken))) => version_taken(Position(taken.cast_unsigned())),
        Ok(_) => AppendError::HeadGone,
        Err(error) => not_begun(&error),
    }
}

fn version_taken(position: Position) -> AppendError {
    AppendError::Refused(format!("the version is taken (at position {position})"))
}

/// Enters what is due, in the transaction that is open: it is not committed yet, whatever goes wrong.
pub(crate) async fn enter(
    connection: &mut SqliteConnection,
    slice: &Slice,
) -> Result<(), AppendError> {
    for entries in slice.streams.chunks(MAX_ENTRIES) {
        insert(connection, &ENTER_STREAMS, of_streams(entries)).await?;
    }
    for entries in slice.requests.chunks(MAX_ENTRIES) {
        insert(connection, &ENTER_REQUESTS, of_requests(entries)).await?;
    }
    if let Some(up_to) = slice.completes_to {
        sqlx::query(ENTERED)
            .bind(signed(up_to.0))
            .execute(connection)
            .await
            .map_err(|error| not_begun(&error))?;
    }
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    sql: &SqlStr,
    entries: Result<SqliteArguments, sqlx::error::BoxDynError>,
) -> Result<(), AppendError> {
    let entries = entries.map_err(|error| AppendError::Refused(error.to_string()))?;
    let insert = sqlx::query_with(sql.clone(), entries).execute(connection).await;
    insert.map(drop).map_err(|error| not_begun(&error))
}

fn of_streams(entries: &[OfStream]) -> Result<SqliteArguments, sqlx::error::BoxDynError> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(MAX_ENTRIES * 3, 0);
    for entry in entries {
        arguments.add(entry.key.number())?;
        arguments.add(signed(entry.version.0))?;
        arguments.add(signed(entry.position.0))?;
    }
    (entries.len() * 3..MAX_ENTRIES * 3).try_for_each(|_| arguments.add(None::<i64>))?;
    Ok(arguments)
}

fn of_requests(entries: &[OfRequest]) -> Result<SqliteArguments, sqlx::error::BoxDynError> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(MAX_ENTRIES * 2, 0);
    for entry in entries {
        arguments.add(Arc::clone(&entry.id))?;
        arguments.add(signed(entry.position.0))?;
    }
    (entries.len() * 2..MAX_ENTRIES * 2).try_for_each(|_| arguments.add(None::<i64>))?;
    Ok(arguments)
}
