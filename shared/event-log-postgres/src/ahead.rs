//! Reading ahead. What a notification tells of is read over the very connection that heard of it,
//! for the one who follows the log: the process behind another connection would have to be woken
//! first, which takes longer than the read.

use std::sync::{Mutex, MutexGuard, PoisonError};

use configapi_event_log::domain::Position;
use configapi_event_log::{Epoch, Hash, Page, PageBuilder, PageLimit, StoredEvent};
use futures_util::TryStreamExt;
use sqlx::postgres::PgListener;
use tokio::time::timeout;

use crate::limits::{AHEAD_BOUND, AHEAD_BYTES, AHEAD_ROWS};
use crate::page::PAGE;
use crate::read::Bound;
use crate::row::{Columns, EPOCH_COLUMN, columns_of, decode, epoch, signed};
use crate::trouble::Trouble;

/// What was read ahead, and for whom.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether somebody has asked for what is at hand since rows were read last. Others are never
    /// read for.
    is_wanted: bool,
    /// Where the one stands who waits.
    stand: Position,
    rows: Option<Rows>,
}

/// Rows of one statement, and the epoch that the log was in.
#[derive(Debug)]
struct Rows {
    events: Vec<StoredEvent>,
    epoch: Epoch,
}

impl Ahead {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where one stands who waits now.
    pub(crate) fn stands_at(&self, position: Position) {
        self.state().stand = position;
    }

    /// What was read beyond a row, if it was that row. Good for one question: the next one is about
    /// something later.
    pub(crate) fn take(&self, from: Position, hash: Hash, limit: PageLimit) -> Option<Page> {
        let mut state = self.state();
        state.is_wanted = true;
        let rows = state.rows.take()?;
        drop(state);
        let anchor = rows.events.first()?;
        if (anchor.position, anchor.hash) != (from, hash) {
            return None;
        }
        // Where the rows end within a command, for there were more than are read ahead, this is no page.
        let mut page = PageBuilder::new(limit);
        for event in rows.events {
            if !page.push(event) {
                break;
            }
        }
        page.finish(rows.epoch).ok().filter(|page| page.events.len() > 1)
    }

    /// What was read is of a connection that is gone, and may be of a log that is.
    pub(crate) fn forget(&self) {
        self.state().rows = None;
    }

    /// Reads what is up to a position that was told, if somebody wants it and it is little. Rows
    /// that cannot be understood are left to the one who reads them in earnest.
    pub(crate) async fn read(
        &self,
        listener: &mut PgListener,
        told: Position,
        row_bytes: usize,
    ) -> Result<(), Trouble> {
        let Some(from) = self.begin(told, row_bytes) else { return Ok(()) };
        let rows = timeout(AHEAD_BOUND, rows_from(listener, from)).await;
        let rows = rows.unwrap_or_else(|_| Err(Trouble::timed_out("reading ahead")))?;
        self.state().rows = rows;
        Ok(())
    }

    fn begin(&self, told: Position, row_bytes: usize) -> Option<Position> {
        let mut state = self.state();
        let new = usize::try_from(told.0.checked_sub(state.stand.0)?).ok()?;
        let is_little = (1..AHEAD_ROWS).contains(&new) && new * row_bytes <= AHEAD_BYTES;
        (is_little && std::mem::take(&mut state.is_wanted)).then_some(state.stand)
    }
}

/// Rows from a position on; none if they are too large to be kept.
async fn rows_from(listener: &mut PgListener, from: Position) -> Result<Option<Rows>, Trouble> {
    let wanted = signed(AHEAD_ROWS as u64);
    let arguments = Bound::default().with(signed(from.0))?.with(wanted)?.done();
    let mut rows = sqlx::query_with(PAGE, arguments).fetch(listener);
    let (mut events, mut newest, mut bytes) = (Vec::new(), None, 0);
    while let Some(row) = rows.try_next().await? {
        let columns: Columns<'_> = columns_of(&row)?;
        let Ok(event) = decode(&columns) else { return Ok(None) };
        newest = Some(epoch(columns[EPOCH_COLUMN])?);
        bytes += event.weight_bytes();
        if bytes > AHEAD_BYTES {
            return Ok(None);
        }
        events.push(event);
    }
    Ok(newest.map(|epoch| Rows { events, epoch }))
}
