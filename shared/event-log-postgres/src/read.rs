//! Look-ups, and arguments for statements. Each is one statement on one snapshot, served by an index.

use configapi_event_log::domain::Point;
use configapi_event_log::{LogError, StoredEvent};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, Encode, Postgres, Type};

use crate::row::{columns, decode_row, signed};
use crate::trouble::Trouble;

/// One probe of the index per stream, however many events a stream has.
pub(crate) const NEWEST: &str = concat!(
    "SELECT e.* FROM (SELECT DISTINCT s FROM unnest($1::text[]) AS u(s)) AS wanted \
     CROSS JOIN LATERAL (SELECT ",
    columns!(),
    " FROM configapi.events WHERE stream = wanted.s COLLATE \"C\" \
     ORDER BY version DESC LIMIT 1) AS e ORDER BY e.position"
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
