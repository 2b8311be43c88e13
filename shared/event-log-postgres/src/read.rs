//! Look-ups, and arguments for statements. Each is one statement on one snapshot, served by an index.

use configapi_event_log::domain::Point;
use configapi_event_log::{LogError, Newest, StoredEvent};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, Encode, Postgres, Type};

use crate::pool::Lease;
use crate::row::{columns, decode_row, signed};
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
pub(crate) const REQUESTS: &str = concat!(
    "SELECT e.* FROM (SELECT DISTINCT r FROM unnest($1::text[]) AS u(r)) AS wanted \
     CROSS JOIN LATERAL (SELECT position AS first, part_size AS size FROM configapi.events \
     WHERE request_id = wanted.r COLLATE \"C\" LIMIT 1) AS f \
     CROSS JOIN LATERAL (SELECT ",
    columns!(),
    " FROM configapi.events WHERE position >= f.first AND position < f.first + f.size \
     ORDER BY position LIMIT 1000) AS e ORDER BY e.position"
);

macro_rules! stream_at {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM configapi.events WHERE stream = $1 AND ",
            $condition,
            " ORDER BY version DESC LIMIT 1"
        )
    };
}

/// The statement and its argument that find where a stream stood at a point.
pub(crate) fn stream_at(point: Point) -> (&'static str, i64) {
    match point {
        Point::Version(version) => (stream_at!("version = $2"), signed(version.0)),
        Point::Time(time) => (stream_at!("recorded_at <= $2"), time.0),
        Point::Position(position) => (stream_at!("position <= $2"), signed(position.0)),
    }
}

/// Reads the newest events of streams up to a limit. The server sends all that was asked for, wanted or
/// not; so beyond the limit the connection is cut.
pub(crate) async fn newest(
    lease: &mut Lease,
    arguments: PgArguments,
    limit_bytes: usize,
) -> Result<Newest, Trouble> {
    lease.begin_read().await?;
    let query = sqlx::query_with(NEWEST, arguments).persistent(lease.has_session());
    let mut newest = Newest::within(limit_bytes);
    let mut rows = query.fetch(lease.connection()?);
    while let Some(row) = rows.try_next().await? {
        if !newest.push(decode_row(&row)?) {
            drop(rows);
            lease.cut();
            return Ok(newest);
        }
    }
    drop(rows);
    lease.end_read().await?;
    Ok(newest)
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

/// Reads all rows as events.
pub(crate) fn events(rows: &[PgRow]) -> Result<Vec<StoredEvent>, LogError> {
    Ok(rows.iter().map(decode_row).collect::<Result<_, _>>()?)
}
