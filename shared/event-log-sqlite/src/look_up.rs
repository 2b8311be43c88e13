//! Finding events by their streams and requests: in the indexes, together with what they do not have yet.

use configapi_event_log::domain::Position;
use configapi_event_log::{LogError, Newest, Requested, StoredEvent};
use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::fault::{corrupt, log_error};
use crate::index::catch_up;
use crate::key::Key;
use crate::read::{each_once, list};
use crate::row::{COLUMNS_COUNT, columns, stored_if_any};
use crate::unindexed::Unindexed;

/// Each row as soon as it is found, in the order of the list, which is that of an outer join: what is
/// sorted would have to be read to its end first. From the index it may be of another stream with the same key.
const NEWEST: &str = concat!(
    "SELECT ",
    columns!(),
    ", asked.place, asked.n FROM (SELECT key AS n, coalesce(value ->> 1, (SELECT position \
     FROM versions WHERE key = value ->> 2 ORDER BY version DESC, position DESC LIMIT 1)) AS place \
     FROM json_each(?)) AS asked \
     LEFT JOIN events AS e ON e.position = asked.place WHERE asked.place IS NOT NULL"
);

/// All events of the streams with a key, the newest first.
const WITH_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    ", v.position FROM versions AS v LEFT JOIN events AS e ON e.position = v.position \
     WHERE v.key = ? ORDER BY v.version DESC, v.position DESC"
);

/// Each row as soon as it is found, in the order of the list, and those of each command as they lie in the
/// table: the joins are not turned round.
const REQUESTS: &str = concat!(
    "SELECT ",
    columns!(),
    ", asked.place FROM (SELECT value ->> 0 AS id, coalesce(value ->> 1, (SELECT position \
     FROM requests WHERE request_id = value ->> 0)) AS place FROM json_each(?)) AS asked \
     LEFT JOIN events AS first ON first.position = asked.place AND first.request_id = asked.id \
     LEFT JOIN events AS e ON e.position BETWEEN first.position \
     AND first.position + first.part_size - 1 \
     WHERE asked.place IS NOT NULL"
);

/// A stream that is asked for; where its newest event is, if the index does not have it; and its key.
type Asked<'a> = (&'a str, Option<u64>, i64);

pub(crate) async fn newest(
    connection: &mut SqliteConnection,
    unindexed: &Unindexed,
    streams: &[&str],
    limit_bytes: usize,
) -> Result<Newest, LogError> {
    let mut newest = Newest::within(limit_bytes);
    if streams.is_empty() {
        return Ok(newest);
    }
    catch_up(connection, unindexed).await?;
    let streams = each_once(streams);
    let places = unindexed.newest(&streams).into_iter().map(|place| place.map(|place| place.0));
    let asked = streams.iter().zip(places);
    let asked: Vec<Asked<'_>> =
        asked.map(|(stream, place)| (*stream, place, Key::of(stream).number())).collect();
    let mut left = &asked[..];
    while let Some(at) = push_newest(connection, left, &mut newest).await? {
        let found = newest_of(connection, left[at].0).await?;
        if found.is_some_and(|event| !newest.push(event)) {
            break;
        }
        left = &left[at + 1..];
    }
    Ok(newest)
}

/// Takes what is found of streams, one after the other, until there is no room, or until the index has an
/// event of another stream where one is looked for, with the same key: answers which one that is.
async fn push_newest(
    connection: &mut SqliteConnection,
    asked: &[Asked<'_>],
    newest: &mut Newest,
) -> Result<Option<usize>, LogError> {
    let mut rows = sqlx::query(NEWEST).bind(list(&asked)?).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(|error| log_error(&error))? {
        let event = found(&row, "streams")?;
        let at: i64 =
            row.try_get_unchecked(COLUMNS_COUNT + 1).map_err(|error| log_error(&error))?;
        let at = usize::try_from(at).unwrap_or_default();
        let (stream, place, _) = asked[at];
        if *event.stream != *stream {
            must_share_key(&event, stream)?;
            if place.is_none() {
                return Ok(Some(at));
            }
            return Err(wrong("streams", event.position));
        }
        if !newest.push(event) {
            break;
        }
    }
    Ok(None)
}

/// The newest event of a stream that shares its key with others, if the index has one.
async fn newest_of(
    connection: &mut SqliteConnection,
    stream: &str,
) -> Result<Option<StoredEvent>, LogError> {
    let mut rows = sqlx::query(WITH_KEY).bind(Key::of(stream).number()).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(|error| log_error(&error))? {
        let event = found(&row, "streams")?;
        if *event.stream == *stream {
            return Ok(Some(event));
        }
        must_share_key(&event, stream)?;
    }
    Ok(None)
}

/// Else the index leads elsewhere.
fn must_share_key(event: &StoredEvent, stream: &str) -> Result<(), LogError> {
    if Key::of(&event.stream) == Key::of(stream) {
        return Ok(());
    }
    Err(wrong("streams", event.position))
}

pub(crate) async fn requests(
    connection: &mut SqliteConnection,
    unindexed: &Unindexed,
    ids: &[&str],
    limit_bytes: usize,
) -> Result<Requested, LogError> {
    let mut requested = Requested::within(limit_bytes);
    if ids.is_empty() {
        return Ok(requested);
    }
    catch_up(connection, unindexed).await?;
    let ids = each_once(ids);
    let places = unindexed.requested(&ids).into_iter().map(|place| place.map(|place| place.0));
    let asked: Vec<_> = ids.iter().zip(places).collect();
    let mut rows = sqlx::query(REQUESTS).bind(list(&asked)?).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(|error| log_error(&error))? {
        if !requested.push(found(&row, "requests")?) {
            break;
        }
    }
    Ok(requested)
}

/// The event at the place where an index has it.
fn found(row: &SqliteRow, index: &str) -> Result<StoredEvent, LogError> {
    let place: i64 = row.try_get_unchecked(COLUMNS_COUNT).map_err(|error| log_error(&error))?;
    stored_if_any(row)?.ok_or_else(|| wrong(index, Position(place.cast_unsigned())))
}

/// For an index that says something else than the log: nothing may be decided on it.
pub(crate) fn wrong(index: &str, position: Position) -> LogError {
    let advice = "`configapi backup` and `configapi restore-backup` make a new file from the log";
    let what = format!("the file's index of {index} does not agree with the log; {advice}");
    corrupt(position.0, &what)
}
