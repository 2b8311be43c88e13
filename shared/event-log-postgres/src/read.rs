//! Pages and look-ups. Each is one statement on one snapshot, served by an index.

use std::sync::atomic::{AtomicUsize, Ordering};

use configapi_event_log::domain::{Point, Position};
use configapi_event_log::{Epoch, LogError, Page, PageBuilder, PageLimit, StoredEvent};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, Encode, Postgres, Row, Type};

use crate::limits::{MAX_SURPLUS_BYTES, MIN_CHUNK_ROWS};
use crate::pool::Lease;
use crate::row::{NEXT_COLUMN, columns, decode, signed};
use crate::trouble::Trouble;

const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    ", (SELECT max(epoch) FROM configapi.epochs) \
     FROM configapi.events WHERE position >= $1 ORDER BY position LIMIT $2"
);

const EPOCH: &str = "SELECT max(epoch) FROM configapi.epochs";

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
    Ok(rows.iter().map(decode).collect::<Result<_, _>>()?)
}

/// Reads pages, and remembers how large rows are: what is asked for is sent, wanted or not.
#[derive(Debug)]
pub(crate) struct Pages {
    row_bytes: AtomicUsize,
}

/// How one statement of a page went.
#[derive(Default)]
struct Chunk {
    rows: usize,
    bytes: usize,
    last: Position,
    epoch: Option<Epoch>,
    is_full: bool,
}

impl Chunk {
    fn take(&mut self, row: &PgRow, page: &mut PageBuilder) -> Result<(), Trouble> {
        let event = decode(row)?;
        if self.epoch.is_none() {
            self.epoch = Some(epoch_at(row, NEXT_COLUMN)?);
        }
        self.rows += 1;
        self.bytes += event.weight_bytes();
        self.last = event.position;
        self.is_full = !page.push(event);
        Ok(())
    }
}

impl Pages {
    pub(crate) fn new() -> Self {
        const FIRST_GUESS_BYTES: usize = 1_024;
        Self { row_bytes: AtomicUsize::new(FIRST_GUESS_BYTES) }
    }

    /// Reads a page in as few statements as its bytes allow. The epoch is the last one's: all rows
    /// of the page were in the log then.
    pub(crate) async fn read(
        &self,
        lease: &mut Lease,
        from: Position,
        limit: PageLimit,
    ) -> Result<Page, Trouble> {
        let mut page = PageBuilder::new(limit);
        let (mut next, mut rows_left, mut bytes_left) = (from, limit.events(), limit.bytes());
        loop {
            let affordable = bytes_left / self.row_bytes.load(Ordering::Relaxed).max(1);
            let wanted = affordable.max(MIN_CHUNK_ROWS).min(rows_left);
            let chunk = read_chunk(lease, &mut page, next, wanted).await?;
            if let Some(average) = chunk.bytes.checked_div(chunk.rows) {
                self.row_bytes.store(average, Ordering::Relaxed);
            }
            if chunk.is_full || chunk.rows < wanted {
                let epoch = match chunk.epoch {
                    Some(epoch) => epoch,
                    None => newest_epoch(lease).await?,
                };
                return page.finish(epoch).map_err(Trouble::Corrupt);
            }
            next = chunk.last.next();
            rows_left = rows_left.saturating_sub(chunk.rows);
            bytes_left = bytes_left.saturating_sub(chunk.bytes);
        }
    }
}

async fn read_chunk(
    lease: &mut Lease,
    page: &mut PageBuilder,
    from: Position,
    wanted: usize,
) -> Result<Chunk, Trouble> {
    let arguments = Bound::default().with(signed(from.0))?.with(signed(wanted as u64))?.done();
    lease.begin_read().await?;
    let query = sqlx::query_with(PAGE, arguments).persistent(lease.has_session());
    let can_be_cut = !lease.is_in_transaction();
    let mut chunk = Chunk::default();
    let mut rows = query.fetch(lease.connection()?);
    while let Some(row) = rows.try_next().await? {
        if !chunk.is_full {
            chunk.take(&row, page)?;
            continue;
        }
        // The page is full, yet the rest is on its way. A little is let in, much is cut off.
        let surplus_bytes = (wanted - chunk.rows).saturating_mul(chunk.bytes / chunk.rows.max(1));
        if can_be_cut && surplus_bytes > MAX_SURPLUS_BYTES {
            drop(rows);
            lease.cut();
            return Ok(chunk);
        }
    }
    drop(rows);
    lease.end_read().await?;
    Ok(chunk)
}

fn epoch_at(row: &PgRow, index: usize) -> Result<Epoch, Trouble> {
    let epoch: i64 = row.try_get_unchecked(index)?;
    Ok(Epoch(u64::try_from(epoch).unwrap_or(0)))
}

async fn newest_epoch(lease: &mut Lease) -> Result<Epoch, Trouble> {
    let rows = lease.fetch(EPOCH, PgArguments::default()).await?;
    let row = rows.first().ok_or_else(|| Trouble::Unusable("the log has no epoch".to_owned()))?;
    epoch_at(row, 0)
}
