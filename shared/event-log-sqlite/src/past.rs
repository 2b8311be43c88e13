//! What streams stood at. Versions are dense, and positions grow with them, so the place is found by
//! halving: among the events that the index of streams does not have yet, or else in the index.

use configapi_event_log::domain::{Point, Position};
use configapi_event_log::{LogError, StoredEvent};
use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteConnection;

use crate::fault::log_error;
use crate::index::catch_up;
use crate::key::Key;
use crate::read::list;
use crate::row::{columns, signed, stored_if_any};
use crate::unindexed::{Sought, Unindexed};

/// The last positions that points lie at or behind. A position within a command means all of it; a time
/// is found by halving, for times grow with positions.
const LAST_POSITIONS: &str = "WITH RECURSIVE wanted (n, kind, point) AS MATERIALIZED ( \
     SELECT key, value ->> 0, value ->> 1 FROM json_each(?)), \
     search (n, low, high) AS ( \
     SELECT n, 0, coalesce((SELECT max(position) FROM events), 0) FROM wanted WHERE kind = 'time' \
     UNION ALL SELECT n, iif(recorded_at <= point, (low + high + 1) / 2, low), \
     iif(recorded_at <= point, high, (low + high + 1) / 2 - 1) \
     FROM search CROSS JOIN wanted USING (n) \
     LEFT JOIN events ON events.position = (low + high + 1) / 2 WHERE low < high) \
     SELECT iif(kind = 'time', (SELECT low FROM search WHERE n = wanted.n AND low = high), \
     coalesce((SELECT position + part_size - 1 - part_index FROM events WHERE position = point), \
     point)) FROM wanted ORDER BY n";

/// Where a version of a stream is. Another stream may have the same key.
macro_rules! place_of {
    ($version:literal) => {
        concat!(
            "(SELECT there.position FROM versions AS there CROSS JOIN events USING (position) \
             WHERE there.key = wanted.key AND there.version = ",
            $version,
            " AND events.stream = wanted.stream)"
        )
    };
}

/// What streams stood at: at a place that is known, at a version, or at a position by halving, for all that
/// are asked for at once. Without a limit SQLite would take the order of the places for meaningless, and rows
/// come in that order.
const STREAMS_AT: &str = concat!(
    "WITH RECURSIVE wanted (n, stream, key, place, version, point) AS MATERIALIZED ( \
     SELECT key, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?)), \
     search (n, low, high) AS ( \
     SELECT n, coalesce(version, 0), coalesce(version, iif(place IS NULL, \
     (SELECT max(version) FROM versions WHERE key = wanted.key), 0), 0) \
     FROM wanted UNION ALL SELECT n, iif(v.position <= point, (low + high + 1) / 2, low), \
     iif(v.position <= point, high, (low + high + 1) / 2 - 1) \
     FROM search CROSS JOIN wanted USING (n) LEFT JOIN versions AS v \
     ON v.key = wanted.key AND v.version = (low + high + 1) / 2 AND v.position = ",
    place_of!("(low + high + 1) / 2"),
    " WHERE low < high) SELECT ",
    columns!(),
    " FROM (SELECT n, low FROM search WHERE low = high ORDER BY n LIMIT -1) \
     CROSS JOIN wanted USING (n) LEFT JOIN events AS e ON e.position = coalesce(place, ",
    place_of!("low"),
    ") AND e.stream = wanted.stream"
);

pub(crate) async fn streams_at(
    connection: &mut SqliteConnection,
    unindexed: &Unindexed,
    wanted: &[(&str, Point)],
    limit_bytes: usize,
) -> Result<Vec<Option<StoredEvent>>, LogError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    catch_up(connection, unindexed).await?;
    let sought = sought(connection, wanted).await?;
    let places =
        unindexed.find(wanted.iter().map(|(stream, _)| *stream).zip(sought.iter().copied()));
    let streams = wanted.iter().map(|(stream, _)| *stream);
    let asked: Vec<_> = streams
        .zip(places)
        .zip(sought)
        .map(|((stream, place), sought)| {
            let (version, point) = match sought {
                Sought::Version(version) => (Some(signed(version.0)), None),
                Sought::UpTo(position) => (None, Some(signed(position.0))),
            };
            (stream, Key::of(stream).number(), place.map(|place| place.0), version, point)
        })
        .collect();
    let mut found = Vec::with_capacity(wanted.len());
    let mut bytes = 0;
    let mut rows = sqlx::query(STREAMS_AT).bind(list(&asked)?).fetch(connection);
    while bytes < limit_bytes || found.is_empty() {
        let Some(row) = rows.try_next().await.map_err(|error| log_error(&error))? else { break };
        let row = stored_if_any(&row)?;
        bytes += row.as_ref().map_or(0, StoredEvent::weight_bytes);
        found.push(row);
    }
    Ok(found)
}

/// What the points mean in each stream.
async fn sought(
    connection: &mut SqliteConnection,
    wanted: &[(&str, Point)],
) -> Result<Vec<Sought>, LogError> {
    let points = wanted.iter().map(|(_, point)| *point);
    let asked: Vec<_> = points.clone().filter_map(place).collect();
    let mut last = Vec::new();
    if !asked.is_empty() {
        let rows = sqlx::query_scalar(LAST_POSITIONS).bind(list(&asked)?).fetch_all(connection);
        last = rows.await.map_err(|error| log_error(&error))?;
    }
    let mut last = last.into_iter().map(|position: i64| Position(position.cast_unsigned()));
    let sought = points.map(|point| match point {
        Point::Version(version) => Sought::Version(version),
        Point::Time(_) | Point::Position(_) => Sought::UpTo(last.next().unwrap_or_default()),
    });
    Ok(sought.collect())
}

/// A point of the log.
fn place(point: Point) -> Option<(&'static str, i64)> {
    match point {
        Point::Version(_) => None,
        Point::Time(time) => Some(("time", time.0)),
        Point::Position(position) => Some(("position", signed(position.0))),
    }
}
