//! The log in a PostgreSQL database, as the port wants it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use configapi_event_log::domain::{Point, Position, Timestamp};
use configapi_event_log::{
    AppendError, Epoch, EpochStart, EventLog, Hash, Head, Identity, Lineage, LogError, LogId,
    Newest, Page, PageLimit, Requested, Standing, StoredEvent, Turn,
};
use sqlx::Row;
use sqlx::postgres::{PgArguments, PgRow};
use tokio::time::timeout;

use crate::append::append;
use crate::beat::Beats;
use crate::dial::{Dialer, Purpose};
use crate::hint::Hints;
use crate::limits::{APPEND_BOUND, READER_CONNECTIONS, WRITER_CONNECTIONS};
use crate::lineage::{begin_epoch, newest_epoch};
use crate::options::{Access, Target};
use crate::page::Pages;
use crate::pool::Pool;
use crate::read::{Bound, newest, points, requests, streams_at};
use crate::trouble::Trouble;
use crate::turn::PostgresTurn;
use crate::wake::Watch;

const HEAD: &str = concat!(
    "SELECT position, hash, recorded_at, ",
    newest_epoch!(),
    ", pg_is_in_recovery() FROM configapi.events ORDER BY position DESC LIMIT 1"
);

const IDENTITY: &str = "
    SELECT epoch, first_position,
           (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
           pg_is_in_recovery(),
           (SELECT convert_from(payload, 'UTF8')::json ->> 'log_id'
            FROM configapi.events WHERE position = 0),
           (SELECT min(position) FROM configapi.events),
           has_any_column_privilege('configapi.events', 'INSERT'),
           current_setting('default_transaction_read_only') = 'on'
    FROM configapi.epochs ORDER BY epoch";

/// A log in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresLog {
    access: Access,
    readers: Pool,
    writers: Pool,
    pages: Arc<Pages>,
    hints: Arc<Hints>,
    watch: Watch,
    /// Kept for as long as the log is, by one that writes.
    _beats: Option<Beats>,
}

impl PostgresLog {
    /// The log that a `postgres://` URL names. Connects when it is first used, and again whenever
    /// it has to; a database that is down makes calls fail, not this one.
    pub fn new(url: &str, access: Access) -> Result<Self, LogError> {
        let target = Target::parse(url, access)?;
        let hints = Arc::new(Hints::new());
        let dialer = Arc::new(Dialer::new(target, Arc::clone(&hints)));
        let readers = Pool::new(Arc::clone(&dialer), Purpose::Read, READER_CONNECTIONS);
        let pages = Arc::new(Pages::new());
        Ok(Self {
            access,
            writers: Pool::new(Arc::clone(&dialer), Purpose::Write, WRITER_CONNECTIONS),
            watch: Watch::new(Arc::clone(&hints), readers.clone(), dialer, Arc::clone(&pages)),
            readers,
            pages,
            hints,
            _beats: None,
        })
    }

    /// As [`PostgresLog::new`], and makes sure that there is a log that can be used. A standby is told
    /// from now on that all is quiet, by one that may write.
    pub async fn open(url: &str, access: Access) -> Result<Self, LogError> {
        let log = Self::new(url, access)?;
        log.head().await?;
        let beats = (access == Access::ReadWrite).then(|| Beats::begin(log.readers.clone()));
        Ok(Self { _beats: beats, ..log })
    }

    /// Where a writer looks up what it decides on. Not where all read: that may be a standby, which
    /// lags behind the head that the decisions are for.
    fn deciders(&self) -> &Pool {
        match self.access {
            Access::ReadWrite => &self.writers,
            Access::ReadOnly => &self.readers,
        }
    }

    /// Asks something of which it matters whether the one who answers may lag behind, or was left
    /// behind. The last row tells its epoch in this column.
    async fn ask(
        &self,
        sql: &'static str,
        epoch_column: usize,
    ) -> Result<(Vec<PgRow>, bool), LogError> {
        self.readers
            .reading(|lease| {
                Box::pin(async move {
                    let lags = lease.begin_reads().await?;
                    let rows = lease.fetch(sql, PgArguments::default()).await?;
                    lease.end_reads().await?;
                    if let Some(row) = rows.last() {
                        let epoch: i64 = row.try_get_unchecked(epoch_column)?;
                        lease.ensure_current(Epoch(epoch.unsigned_abs()))?;
                    }
                    Ok((rows, lags))
                })
            })
            .await
    }

    /// Why the database will refuse whatever is appended, of one that may be written as far as we are
    /// concerned.
    fn takes_no_appends(&self, may_insert: bool, is_read_only: bool) -> Option<String> {
        if self.access == Access::ReadOnly {
            return None;
        }
        if is_read_only {
            // It is a default of sessions, so it is for new ones to tell that it is not any more.
            self.readers.forget_idle();
            self.writers.forget_idle();
            let why =
                "default_transaction_read_only is on for the store's role, database or server";
            return Some(why.to_owned());
        }
        let why = "the store's role may not insert into configapi.events; give it the grants that \
                   grants.sql names for a command server";
        (!may_insert).then(|| why.to_owned())
    }

    fn check_writable(&self) -> Result<(), String> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err("the log was opened for reading only".to_owned()),
        }
    }
}

fn get<'r, T: sqlx::Decode<'r, sqlx::Postgres>>(row: &'r PgRow, at: usize) -> Result<T, LogError> {
    Ok(row.try_get_unchecked(at).map_err(Trouble::from)?)
}

fn count(row: &PgRow, at: usize) -> Result<u64, LogError> {
    Ok(get::<i64>(row, at)?.unsigned_abs())
}

fn no_log() -> LogError {
    LogError::Unusable("the log has no genesis or no epoch".to_owned())
}

/// Whoever may insert may insert a row at a negative position. No page has it, so no chain shows it,
/// yet it takes a version of a stream from the events that are to come.
fn nothing_before_genesis(first: Option<i64>) -> Result<(), LogError> {
    match first {
        Some(first) if first < 0 => Err(LogError::Corrupt {
            position: Position::GENESIS,
            problem: format!("a row lies before it, at {first}"),
        }),
        _ => Ok(()),
    }
}

#[async_trait]
impl EventLog for PostgresLog {
    async fn identity(&self) -> Result<Identity, LogError> {
        let (rows, lags) = self.ask(IDENTITY, 0).await?;
        let mut epochs = Vec::with_capacity(rows.len());
        for row in &rows {
            let first_position = Position(count(row, 1)?);
            epochs.push(EpochStart { epoch: Epoch(count(row, 0)?), first_position });
        }
        let newest = rows.last().ok_or_else(no_log)?;
        nothing_before_genesis(get(newest, 5)?)?;
        let log_id: Option<&str> = get(newest, 4)?;
        let log_id = log_id.and_then(|text| uuid::Uuid::parse_str(text).ok()).ok_or_else(no_log)?;
        let lineage = Lineage::from_rows(epochs);
        self.hints.enter(lineage.current());
        Ok(Identity {
            log_id: LogId(log_id),
            lineage,
            store_time: Some(Timestamp(get(newest, 2)?)),
            is_standby: lags || get(newest, 3)?,
            takes_no_appends: self.takes_no_appends(get(newest, 6)?, get(newest, 7)?),
        })
    }

    async fn head(&self) -> Result<Head, LogError> {
        Ok(self.standing().await?.head)
    }

    async fn standing(&self) -> Result<Standing, LogError> {
        let (rows, lags) = self.ask(HEAD, 3).await?;
        let row = rows.first().ok_or_else(no_log)?;
        let position = Position(count(row, 0)?);
        let hash = Hash::from_slice(get(row, 1)?).ok_or_else(|| LogError::Corrupt {
            position,
            problem: "its hash is not what a log may hold".to_owned(),
        })?;
        let head = Head {
            epoch: Epoch(count(row, 3)?),
            position,
            hash,
            recorded_at: Timestamp(get(row, 2)?),
        };
        self.hints.saw_in(head.epoch, head.position);
        Ok(Standing { head, is_standby: lags || get(row, 4)? })
    }

    async fn append(&self, head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
        self.check_writable().map_err(AppendError::Unavailable)?;
        append(&self.writers, head, events).await?;
        self.hints.appended(head, events)
    }

    async fn take_turn(&self) -> Result<Box<dyn Turn>, LogError> {
        self.check_writable().map_err(LogError::Unavailable)?;
        let (pages, hints) = (Arc::clone(&self.pages), Arc::clone(&self.hints));
        Ok(Box::new(PostgresTurn::begin(&self.writers, pages, hints).await?))
    }

    async fn read(&self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        let pages = &self.pages;
        let page = self
            .readers
            .reading(|lease| {
                let pages = Arc::clone(pages);
                Box::pin(async move { pages.read(lease, from, limit).await })
            })
            .await?;
        let end = page.events.last().map_or(Position::GENESIS, |row| row.position);
        self.hints.saw_in(page.epoch, end);
        Ok(page)
    }

    fn at_hand(&self, from: Position, hash: Hash, limit: PageLimit) -> Option<Page> {
        let page = self.watch.at_hand(from, hash, limit)?;
        if self.hints.is_behind(page.epoch) {
            return None;
        }
        let end = page.events.last().map_or(Position::GENESIS, |row| row.position);
        self.hints.saw_in(page.epoch, end);
        Some(page)
    }

    async fn newest(&self, streams: &[&str], limit_bytes: usize) -> Result<Newest, LogError> {
        if streams.is_empty() {
            return Ok(Newest::within(limit_bytes));
        }
        let arguments = Bound::default().with(streams)?.done();
        self.deciders()
            .reading(|lease| {
                let arguments = arguments.clone();
                Box::pin(async move { newest(lease, arguments, limit_bytes).await })
            })
            .await
    }

    async fn streams_at(
        &self,
        wanted: &[(&str, Point)],
        limit_bytes: usize,
    ) -> Result<Vec<Option<StoredEvent>>, LogError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let arguments = points(wanted)?;
        self.deciders()
            .reading(|lease| {
                let arguments = arguments.clone();
                Box::pin(async move { streams_at(lease, arguments, limit_bytes).await })
            })
            .await
    }

    async fn requests(&self, ids: &[&str], limit_bytes: usize) -> Result<Requested, LogError> {
        if ids.is_empty() {
            return Ok(Requested::within(limit_bytes));
        }
        let arguments = Bound::default().with(ids)?.done();
        self.deciders()
            .reading(|lease| {
                let arguments = arguments.clone();
                Box::pin(async move { requests(lease, arguments, limit_bytes).await })
            })
            .await
    }

    async fn grown(&self, beyond: Position, patience: Duration) {
        self.watch.grown(beyond, patience).await;
    }

    async fn begin_epoch(&self, head: &Head) -> Result<Epoch, LogError> {
        self.check_writable().map_err(LogError::Unavailable)?;
        let mut lease = self.writers.lease().await?;
        lease.enter_transaction();
        let begun = timeout(APPEND_BOUND, begin_epoch(lease.connection()?, head)).await;
        match begun.unwrap_or_else(|_| Err(Trouble::timed_out("beginning an epoch"))) {
            Ok(epoch) => {
                lease.give_back();
                let epoch = epoch.ok_or_else(|| {
                    LogError::Unavailable("the log has moved on from that head".to_owned())
                })?;
                self.hints.enter(epoch);
                Ok(epoch)
            }
            Err(trouble) => {
                lease.end_with(&trouble);
                Err(trouble.into())
            }
        }
    }
}
