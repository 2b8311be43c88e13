//! Look-ups, and arguments for statements. Each is one statement on one snapshot, served by an index.

use configapi_event_log::domain::Point;
use configapi_event_log::{Newest, Requested, StoredEvent};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, Encode, Postgres, Type};

use crate::pool::Lease;
use crate::row::{columns, decode_row, decode_row_if_any, signed};
use crate::trouble::Trouble;

/// One probe of the index per stream, however many events a stream has.
const NEWEST: &str = concat!(
    "SELECT e.* FROM (SELECT s, min(n) AS n FROM unnest($1::text[]) WITH ORDINALITY AS u(s, n) \
     GROUP BY s) AS wanted \
     CROSS JOIN LATERAL (SELECT ",
    columns!(),
    " FROM configapi.events WHERE stream = wanted.s COLLATE \"C\" \
     ORDER BY version DESC LIMIT 1) AS e ORDER BY wanted.n"
);

/// One probe per request id, then one run of rows per command.
const REQUESTS: &str = concat!(
    "SELECT e.* FROM (SELECT r, min(n) AS n FROM unnest($1::text[]) WITH ORDINALITY AS u(r, n) \
     GROUP BY r) AS wanted \
     CROSS JOIN LATERAL (SELECT position AS first, part_size AS size FROM configapi.events \
     WHERE request_id = wanted.r COLLATE \"C\" LIMIT 1) AS f \
     CROSS JOIN LATERAL (SELECT ",
    columns!(),
    " FROM configapi.events WHERE position >= f.first AND position < f.first + f.size \
     ORDER BY position LIMIT 1000) AS e ORDER BY wanted.n, e.position"
);

/// What streams stood at. Versions are dense, and positions and times grow with them: the place is
/// found by halving, for all that are asked for at once. A version is its own place. Each step is one
/// probe of the index, whatever the planner makes of how many there are.
const STREAMS_AT: &str = concat!(
    "WITH RECURSIVE wanted (n, stream, kind, point) AS MATERIALIZED ( \
     SELECT n, stream, kind, CASE kind WHEN 'position' \
     THEN coalesce((SELECT position + part_size - 1 - part_index FROM configapi.events \
     WHERE position = point), point) ELSE point END \
     FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY \
     AS u (stream, kind, point, n)), \
     search (n, stream, kind, point, low, high) AS ( \
     SELECT n, stream, kind, point, CASE kind WHEN 'version' THEN point ELSE 0 END, \
     CASE kind WHEN 'version' THEN point ELSE coalesce((SELECT version FROM configapi.events \
     WHERE stream = wanted.stream COLLATE \"C\" ORDER BY version DESC LIMIT 1), 0) END FROM wanted \
     UNION ALL SELECT n, stream, kind, point, \
     CASE WHEN probe.at <= point THEN (low + high + 1) / 2 ELSE low END, \
     CASE WHEN probe.at <= point THEN high ELSE (low + high + 1) / 2 - 1 END \
     FROM search LEFT JOIN LATERAL ( \
     SELECT CASE search.kind WHEN 'time' THEN recorded_at ELSE position END AS at \
     FROM configapi.events WHERE stream = search.stream COLLATE \"C\" \
     AND version = (search.low + search.high + 1) / 2 LIMIT 1) AS probe ON true WHERE low < high) \
     SELECT e.* FROM (SELECT n, stream, low FROM search WHERE low = high ORDER BY n) AS place \
     LEFT JOIN LATERAL (SELECT ",
    columns!(),
    " FROM configapi.events WHERE stream = place.stream COLLATE \"C\" AND version = place.low \
     LIMIT 1) AS e ON true ORDER BY place.n"
);

/// The arguments of [`streams_at`].
pub(crate) fn points(wanted: &[(&str, Point)]) -> Result<PgArguments, Trouble> {
    let place = |point: &Point| match point {
        Point::Version(version) => ("version", signed(version.0)),
        Point::Time(time) => ("time", time.0),
        Point::Position(position) => ("position", signed(position.0)),
    };
    let streams: Vec<&str> = wanted.iter().map(|(stream, _)| *stream).collect();
    let (kinds, points): (Vec<&str>, Vec<i64>) =
        wanted.iter().map(|(_, point)| place(point)).unzip();
    Ok(Bound::default().with(streams)?.with(kinds)?.with(points)?.done())
}

/// Reads what streams stood at up to a limit, as [`newest`] does.
pub(crate) async fn streams_at(
    lease: &mut Lease,
    arguments: PgArguments,
    limit_bytes: usize,
) -> Result<Vec<Option<StoredEvent>>, Trouble> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    read_while(lease, STREAMS_AT, arguments, |row| {
        let has_room = bytes < limit_bytes || found.is_empty();
        if has_room {
            let row = decode_row_if_any(row)?;
            bytes += row.as_ref().map_or(0, StoredEvent::weight_bytes);
            found.push(row);
        }
        Ok(has_room)
    })
    .await?;
    Ok(found)
}

/// Reads the newest events of streams up to a limit.
pub(crate) async fn newest(
    lease: &mut Lease,
    arguments: PgArguments,
    limit_bytes: usize,
) -> Result<Newest, Trouble> {
    let mut newest = Newest::within(limit_bytes);
    read_while(lease, NEWEST, arguments, |row| Ok(newest.push(decode_row(row)?))).await?;
    Ok(newest)
}

/// Reads commands by their request ids up to a limit.
pub(crate) async fn requests(
    lease: &mut Lease,
    arguments: PgArguments,
    limit_bytes: usize,
) -> Result<Requested, Trouble> {
    let mut requested = Requested::within(limit_bytes);
    read_while(lease, REQUESTS, arguments, |row| Ok(requested.push(decode_row(row)?))).await?;
    Ok(requested)
}

/// Reads rows while they are wanted. The server sends all that was asked for, wanted or not; so the
/// connection is cut at one that is not.
async fn read_while(
    lease: &mut Lease,
    sql: &'static str,
    arguments: PgArguments,
    mut take: impl FnMut(&PgRow) -> Result<bool, Trouble>,
) -> Result<(), Trouble> {
    lease.begin_read().await?;
    let query = sqlx::query_with(sql, arguments).persistent(lease.has_session());
    let mut rows = query.fetch(lease.connection()?);
    while let Some(row) = rows.try_next().await? {
        if !take(&row)? {
            drop(rows);
            let is_up_to_date = lease.ensure_up_to_date();
            lease.cut();
            return is_up_to_date;
        }
    }
    drop(rows);
    lease.ensure_up_to_date()?;
    lease.end_read().await
}

/// Arguments for a statement, encoded.
#[derive(Debug, Default)]
pub(crate) struct Bound(PgArguments);

impl Bound {
    pub(crate) fn with<'a, T>(mut self, value: T) -> Result<Self, Trouble>
    where
        T: Encode<'a, Postgres> + Type<Postgres>,
    {
        self.0.add(value).map_err(sqlx::Error::Encode)?;
        Ok(self)
    }

    pub(crate) fn done(self) -> PgArguments {
        self.0
    }
}
