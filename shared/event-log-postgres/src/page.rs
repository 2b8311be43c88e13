//! Pages. Each statement of one sees one snapshot and is served by an index. Where much is wanted the
//! rows are copied out in bulk, which costs both sides less for each; where little is, they come by
//! a prepared statement.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{Epoch, Page, PageBuilder, PageLimit, Reach};
use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::postgres::PgArguments;

use crate::copy::CopiedRows;
use crate::limits::{MAX_SURPLUS_BYTES, MIN_CHUNK_ROWS};
use crate::lineage::newest_epoch;
use crate::pool::Lease;
use crate::read::Bound;
use crate::row::{Columns, EPOCH_COLUMN, columns, columns_of, decode, epoch, signed};
use crate::trouble::Trouble;

/// What a page is, up to its bounds; the epoch comes with every row.
macro_rules! rows_from {
    () => {
        concat!(
            "SELECT ",
            columns!(),
            ", ",
            newest_epoch!(),
            " FROM configapi.events WHERE position >= "
        )
    };
}

/// A page by a prepared statement: from where, and how many rows.
pub(crate) const PAGE: &str = concat!(rows_from!(), "$1 ORDER BY position LIMIT $2");

const EPOCH: &str = "SELECT max(epoch) FROM configapi.epochs";

/// How far a standby has come: when the last transaction ended that it has replayed. Those that ended
/// before are there already, so what is read after this holds what was recorded by then.
const REPLAYED: &str = "SELECT pg_is_in_recovery(), \
    (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint";

/// A COPY takes no arguments. What stands in it are two numbers of ours, and nothing else.
fn copy(from: Position, wanted: usize) -> String {
    let (from, wanted) = (signed(from.0), signed(wanted as u64));
    let rows = rows_from!();
    format!("COPY ({rows}{from} ORDER BY position LIMIT {wanted}) TO STDOUT (FORMAT binary)")
}

/// Reads pages, and remembers how large rows are: what is asked for is sent, wanted or not.
#[derive(Debug)]
pub(crate) struct Pages {
    row_bytes: AtomicUsize,
    /// Whether the database copies rows out, as far as it is known.
    copies: AtomicBool,
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
    fn take(&mut self, columns: &Columns<'_>, page: &mut PageBuilder) -> Result<(), Trouble> {
        let event = decode(columns)?;
        if self.epoch.is_none() {
            self.epoch = Some(epoch(columns[EPOCH_COLUMN])?);
        }
        self.rows += 1;
        self.bytes += event.weight_bytes();
        self.last = event.position;
        self.is_full = !page.push(event);
        Ok(())
    }

    /// Whether what is still on its way although the page is full is too much to be let in.
    fn has_large_surplus(&self, wanted: usize) -> bool {
        let row_bytes = self.bytes / self.rows.max(1);
        let surplus_bytes = wanted.saturating_sub(self.rows).saturating_mul(row_bytes);
        surplus_bytes > MAX_SURPLUS_BYTES
    }
}

impl Pages {
    pub(crate) fn new() -> Self {
        const FIRST_GUESS_BYTES: usize = 1_024;
        Self { row_bytes: AtomicUsize::new(FIRST_GUESS_BYTES), copies: AtomicBool::new(true) }
    }

    /// What a row weighs, going by those that were read last.
    pub(crate) fn row_bytes(&self) -> usize {
        self.row_bytes.load(Ordering::Relaxed)
    }

    /// Reads a page, and from a standby how far that has come.
    pub(crate) async fn read(
        &self,
        lease: &mut Lease,
        from: Position,
        limit: PageLimit,
    ) -> Result<Page, Trouble> {
        let page = PageBuilder::new(limit);
        if !lease.may_lag() {
            return self.read_rows(lease, page, from, limit).await;
        }
        if limit.is_bulk() {
            return self.read_rows(lease, page.reaching(Reach::Unknown), from, limit).await;
        }
        let lags = lease.begin_reads().await?;
        let page = page.reaching(reach(lease, lags).await?);
        let page = self.read_rows(lease, page, from, limit).await?;
        lease.end_reads().await?;
        Ok(page)
    }

    /// Reads a page in as few statements as its bytes allow. They are all answered in one epoch: of
    /// what was read in an older one, the log may have lost some since.
    async fn read_rows(
        &self,
        lease: &mut Lease,
        mut page: PageBuilder,
        from: Position,
        limit: PageLimit,
    ) -> Result<Page, Trouble> {
        let (mut next, mut rows_left, mut bytes_left) = (from, limit.events(), limit.bytes());
        // A COPY that is refused would end a transaction.
        let is_bulk = limit.is_bulk() && !lease.is_in_transaction();
        let mut first_epoch = None;
        loop {
            let affordable = bytes_left / self.row_bytes().max(1);
            let wanted = affordable.max(MIN_CHUNK_ROWS).min(rows_left);
            let chunk = if is_bulk && self.copies.load(Ordering::Relaxed) {
                self.copy_chunk(lease, &mut page, next, wanted).await?
            } else {
                select_chunk(lease, &mut page, next, wanted).await?
            };
            if let Some(average) = chunk.bytes.checked_div(chunk.rows) {
                self.row_bytes.store(average, Ordering::Relaxed);
            }
            let is_last = chunk.is_full || chunk.rows < wanted;
            let epoch = match chunk.epoch {
                None if is_last => Some(newest_epoch(lease).await?),
                epoch => epoch,
            };
            if let Some(epoch) = epoch {
                lease.ensure_current(epoch)?;
                if *first_epoch.get_or_insert(epoch) != epoch {
                    let why = "the log entered another epoch while a page was read";
                    return Err(Trouble::Behind(why.to_owned()));
                }
            }
            if let Some(epoch) = epoch.filter(|_| is_last) {
                return page.finish(epoch).map_err(Trouble::Corrupt);
            }
            next = chunk.last.next();
            rows_left = rows_left.saturating_sub(chunk.rows);
            bytes_left = bytes_left.saturating_sub(chunk.bytes);
        }
    }

    async fn copy_chunk(
        &self,
        lease: &mut Lease,
        page: &mut PageBuilder,
        from: Position,
        wanted: usize,
    ) -> Result<Chunk, Trouble> {
        let copied = copy_chunk(lease, page, from, wanted).await;
        copied.inspect_err(|trouble| {
            // The driver leaves the end of a refusal unread.
            lease.cut();
            self.learn(trouble);
        })
    }

    /// Remembers that the database does not copy, if that is what went wrong.
    fn learn(&self, trouble: &Trouble) {
        if let Trouble::CopyRefused(why) = trouble
            && self.copies.swap(false, Ordering::Relaxed)
        {
            tracing::info!(%why, "the database does not copy rows out; they are selected");
        }
    }
}

/// A COPY is one message, so poolers keep it together by themselves.
async fn copy_chunk(
    lease: &mut Lease,
    page: &mut PageBuilder,
    from: Position,
    wanted: usize,
) -> Result<Chunk, Trouble> {
    let sql = copy(from, wanted);
    let mut chunk = Chunk::default();
    let mut rows = CopiedRows::new(from);
    let begun = lease.connection()?.copy_out_raw(&sql).await;
    let mut messages = begun.map_err(Trouble::of_copy)?;
    while let Some(message) = messages.try_next().await? {
        if !chunk.is_full {
            rows.take(
                &message,
                |columns| {
                    if chunk.is_full { Ok(()) } else { chunk.take(columns, page) }
                },
            )?;
        } else if chunk.has_large_surplus(wanted) {
            drop(messages);
            lease.cut();
            return Ok(chunk);
        }
    }
    if !chunk.is_full {
        rows.end()?;
    }
    Ok(chunk)
}

async fn select_chunk(
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
            chunk.take(&columns_of(&row)?, page)?;
            continue;
        }
        if can_be_cut && chunk.has_large_surplus(wanted) {
            drop(rows);
            lease.cut();
            return Ok(chunk);
        }
    }
    drop(rows);
    lease.end_read().await?;
    Ok(chunk)
}

async fn reach(lease: &mut Lease, lags: bool) -> Result<Reach, Trouble> {
    let rows = lease.fetch(REPLAYED, PgArguments::default()).await?;
    let Some(row) = rows.first() else { return Ok(Reach::Unknown) };
    if !row.try_get_unchecked(0)? {
        return Ok(if lags { Reach::Unknown } else { Reach::Asked });
    }
    let until: Option<i64> = row.try_get_unchecked(1)?;
    Ok(until.map_or(Reach::Unknown, |until| Reach::Replayed(Timestamp(until))))
}

async fn newest_epoch(lease: &mut Lease) -> Result<Epoch, Trouble> {
    let rows = lease.fetch(EPOCH, PgArguments::default()).await?;
    let row = rows.first().ok_or_else(|| Trouble::Unusable("the log has no epoch".to_owned()))?;
    epoch(columns_of::<1>(row)?[0])
}
