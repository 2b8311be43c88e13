//! Everything that is read. Each read is one statement, so it sees one snapshot.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{
    Epoch, EpochStart, Hash, Head, Identity, Lineage, LogError, Page, PageBuilder, PageLimit,
    StoredEvent, log_id_of,
};
use futures_util::TryStreamExt;
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use crate::fault::{corrupt, log_error};
use crate::packed::{Packed, packed};
use crate::row::{columns, signed, stored};

/// How many rows the chunk from a position on has: as many as are asked for, or one if they would weigh
/// much more than chunks do. SQLite knows how long a text is without reading it.
macro_rules! rows_from {
    ($start:literal) => {
        concat!(
            "(SELECT iif(coalesce(sum(octet_length(payload)), 0) > ?4, 1, ?2) \
             FROM events WHERE position >= ",
            $start,
            " AND position < ",
            $start,
            " + ?2)"
        )
    };
}

/// Chunks of rows from a position on, each in one value; the epoch comes with every chunk, and alone
/// if there is no row. Which chunks there are follows from the newest position, not from rows found,
/// so a row that is missing cannot look like the end. The limit is not the argument itself: SQLite
/// plans a statement anew for each execution if an argument is a limit, which cost more than the read.
const PAGE: &str = concat!(
    "WITH RECURSIVE chunk (start, size) AS (SELECT ?1, ",
    rows_from!("?1"),
    " UNION ALL SELECT start + size, ",
    rows_from!("start + size"),
    " FROM chunk WHERE start + size <= (SELECT max(position) FROM events) LIMIT +?3) \
     SELECT (SELECT max(epoch) FROM epochs), (SELECT group_concat(row, '') FROM (SELECT ",
    packed!(),
    " AS row FROM events AS e WHERE e.position >= chunk.start \
     AND e.position < chunk.start + chunk.size ORDER BY e.position)) FROM chunk"
);

const HEAD: &str = "SELECT position, hash, recorded_at, (SELECT max(epoch) FROM epochs) \
     FROM events ORDER BY position DESC LIMIT 1";

const GENESIS: &str = concat!("SELECT ", columns!(), " FROM events AS e WHERE e.position = 0");

const EPOCHS: &str = "SELECT epoch, first_position FROM epochs ORDER BY epoch";

/// How many rows to ask for in one value, from what rows have weighed lately.
#[derive(Debug)]
pub(crate) struct Chunking {
    row_bytes: AtomicUsize,
}

impl Chunking {
    /// Beyond this, larger chunks are not faster.
    const MAX_ROWS: usize = 32;
    /// About what a chunk weighs, if more than one row.
    const CHUNK_BYTES: usize = 64 << 10;
    /// What a chunk of more than one row weighs at most, however wrong the guess was.
    const MAX_BYTES: u32 = 1 << 20;

    pub(crate) fn new() -> Self {
        Self { row_bytes: AtomicUsize::new(Self::CHUNK_BYTES / Self::MAX_ROWS) }
    }

    fn rows(&self) -> usize {
        let row_bytes = self.row_bytes.load(Ordering::Relaxed).max(1);
        (Self::CHUNK_BYTES / row_bytes).clamp(1, Self::MAX_ROWS)
    }

    fn learn(&self, page: &Page) {
        if !page.events.is_empty() {
            let bytes: usize = page.events.iter().map(StoredEvent::weight_bytes).sum();
            self.row_bytes.store(bytes / page.events.len(), Ordering::Relaxed);
        }
    }
}

/// Rows from `from` on. Reading stops when the page is full.
pub(crate) async fn page(
    connection: &mut SqliteConnection,
    chunking: &Chunking,
    from: Position,
    limit: PageLimit,
) -> Result<Page, LogError> {
    let chunk_rows = chunking.rows();
    let mut page = PageBuilder::new(limit);
    let mut epoch = None;
    let mut chunks = sqlx::query(PAGE)
        .bind(signed(from.0))
        .bind(i64::try_from(chunk_rows).unwrap_or(1))
        .bind(i64::try_from(limit.events()).unwrap_or(i64::MAX))
        .bind(i64::from(Chunking::MAX_BYTES))
        .fetch(connection);
    'page: while let Some(chunk) = chunks.try_next().await.map_err(|error| log_error(&error))? {
        let newest: Option<i64> = chunk.try_get_unchecked(0).map_err(|error| log_error(&error))?;
        epoch = newest.map(|epoch| Epoch(epoch.cast_unsigned()));
        let value: Option<&[u8]> = chunk.try_get_unchecked(1).map_err(|error| log_error(&error))?;
        for row in Packed::new(value.unwrap_or_default(), from) {
            if !page.push(row?) {
                break 'page;
            }
        }
    }
    drop(chunks);
    let page = page.finish(epoch.ok_or_else(no_epoch)?)?;
    chunking.learn(&page);
    Ok(page)
}

fn no_epoch() -> LogError {
    LogError::Unusable("the log has no epoch".to_owned())
}

pub(crate) async fn head(connection: &mut SqliteConnection) -> Result<Head, LogError> {
    let (position, hash, recorded_at, epoch): (i64, Vec<u8>, i64, Option<i64>) =
        sqlx::query_as(HEAD).fetch_one(connection).await.map_err(|error| match error {
            sqlx::Error::RowNotFound => LogError::Unusable("the log has no genesis".to_owned()),
            other => log_error(&other),
        })?;
    let epoch = epoch.ok_or_else(no_epoch)?;
    let position = position.cast_unsigned();
    let hash = Hash::from_slice(&hash);
    Ok(Head {
        epoch: Epoch(epoch.cast_unsigned()),
        position: Position(position),
        hash: hash.ok_or_else(|| corrupt(position, "the hash has not 32 bytes"))?,
        recorded_at: Timestamp(recorded_at),
    })
}

pub(crate) async fn identity(connection: &mut SqliteConnection) -> Result<Identity, LogError> {
    let epochs: Vec<(i64, i64)> = sqlx::query_as(EPOCHS)
        .fetch_all(&mut *connection)
        .await
        .map_err(|error| log_error(&error))?;
    if epochs.is_empty() {
        return Err(no_epoch());
    }
    let epochs = epochs.into_iter().map(|(epoch, first)| EpochStart {
        epoch: Epoch(epoch.cast_unsigned()),
        first_position: Position(first.cast_unsigned()),
    });
    let genesis = sqlx::query(GENESIS)
        .fetch_optional(connection)
        .await
        .map_err(|error| log_error(&error))?
        .ok_or_else(|| LogError::Unusable("the log has no genesis".to_owned()))?;
    let log_id = log_id_of(&stored(&genesis)?)
        .ok_or_else(|| corrupt(0, "the genesis row is not as it was written"))?;
    Ok(Identity {
        log_id,
        lineage: Lineage::from_rows(epochs.collect()),
        store_time: None,
        is_standby: false,
        takes_no_appends: None,
    })
}

pub(crate) fn each_once<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut seen = HashSet::with_capacity(names.len());
    names.iter().copied().filter(|name| seen.insert(*name)).collect()
}

/// A list as an argument, as JSON: SQLite has no other.
pub(crate) fn list(items: &impl Serialize) -> Result<String, LogError> {
    serde_json::to_string(items).map_err(|error| LogError::Unusable(error.to_string()))
}

/// The newest position alone.
pub(crate) async fn newest_position(
    connection: &mut SqliteConnection,
) -> Result<Position, sqlx::Error> {
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT max(position) FROM events").fetch_one(connection).await?;
    Ok(Position(newest.unwrap_or(0).cast_unsigned()))
}

/// A number that changes whenever another connection, of any process, has committed.
pub(crate) async fn data_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await
}
