//! Compare-and-append. A batch is one INSERT if it fits, which is its own transaction; else several
//! in one transaction, each on the condition that the row before it is the head. The first asks too
//! whether a version that nobody here knows to be new is in the index.

use std::iter::repeat;
use std::sync::{Arc, LazyLock};

use configapi_event_log::domain::Position;
use configapi_event_log::{AppendError, Head, StoredEvent};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::fault::append_error;
use crate::file::OpenFile;
use crate::growth::Growth;
use crate::index::{self, Due, has_version};
use crate::moving::Moving;
use crate::recent::Recent;
use crate::row::{COLUMNS_COUNT, EventType, INSERT_COLUMNS, bind, bind_nothing, signed};
use crate::unindexed::{Newcomer, Unindexed};

/// The most rows of one INSERT. SQLite takes at most 32,766 arguments.
const MAX_ROWS: usize = 1_024;

/// No streams and versions.
const NONE_UNPROVEN: &str = "[]";

/// What this process knows of the log beside the file, and is told of each commit.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) file: Arc<OpenFile>,
    pub(crate) growth: Growth,
    pub(crate) recent: Arc<Recent>,
    pub(crate) unindexed: Arc<Unindexed>,
    /// None if the log is open for reading only.
    pub(crate) moving: Option<Arc<Moving>>,
}

/// Events that are about to be appended.
pub(crate) struct Batch {
    chunks: Vec<Chunk>,
    /// What the indexes have to do with it.
    due: Due,
    head: Head,
    end: Position,
    events: Vec<StoredEvent>,
    bytes: usize,
    newcomers: Vec<Newcomer>,
    known: Known,
}

impl Batch {
    /// What can be said and done before the log is taken hold of.
    pub(crate) fn new(
        known: Known,
        head: Head,
        events: Vec<StoredEvent>,
    ) -> Result<Self, AppendError> {
        Ok(Self {
            chunks: chunks(&head, &events)?,
            due: Due::default(),
            head,
            end: events.last().map_or(head.position, |row| row.position),
            bytes: events.iter().map(StoredEvent::weight_bytes).sum(),
            newcomers: events.iter().map(Newcomer::of).collect(),
            events,
            known,
        })
    }

    /// The rest of what comes before the first row, by the connection that will write it.
    pub(crate) async fn prepare(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), AppendError> {
        let Known { file, unindexed, .. } = &self.known;
        file.check().map_err(|error| AppendError::Unavailable(error.to_string()))?;
        self.due = index::due(connection, unindexed, &self.head, &self.newcomers).await?;
        Ok(())
    }

    /// Whether it is a transaction of its own.
    pub(crate) fn is_one_statement(&self) -> bool {
        self.due.slice.is_none() && self.chunks.len() == 1
    }

    pub(crate) async fn send(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), AppendError> {
        let Due { slice, unproven } = &self.due;
        if let Some(slice) = slice {
            index::enter(connection, slice).await?;
        }
        // All of them are asked for with the first rows.
        let unproven = [unproven.as_str()].into_iter().chain(repeat(NONE_UNPROVEN));
        for (chunk, unproven) in self.chunks.drain(..).zip(unproven) {
            if !send(connection, chunk, unproven).await? {
                return Err(index::explain(connection, &self.head, unproven).await);
            }
        }
        Ok(())
    }

    /// Tells of it, once it is committed, if it is where it should be.
    pub(crate) fn tell(self) -> Result<(), AppendError> {
        let Known { file, growth, recent, unindexed, moving } = &self.known;
        file.check().map_err(|error| AppendError::Unknown(error.to_string()))?;
        if let Some(slice) = &self.due.slice {
            unindexed.is_entered(slice);
        }
        unindexed.note(self.head.epoch, self.newcomers);
        recent.keep(self.head.epoch, self.events, self.bytes);
        growth.grew_to(self.end);
        if let Some(moving) = moving {
            moving.wrote(self.bytes);
        }
        Ok(())
    }
}

/// One INSERT, ready to be sent.
struct Chunk {
    sql: SqlStr,
    arguments: SqliteArguments,
    rows: usize,
}

/// One statement per power of two, so that few are prepared and none is more than half empty.
static INSERTS: LazyLock<Vec<SqlStr>> =
    LazyLock::new(|| (0..=MAX_ROWS.trailing_zeros()).map(|power| insert(1 << power)).collect());

/// Rows that are not there have no position, and are left out. What the condition asks does not
/// depend on the rows, so SQLite asks once.
fn insert(rows: usize) -> SqlStr {
    let row = format!("({})", ["?"; COLUMNS_COUNT].join(","));
    let values = vec![row; rows].join(",");
    shared(format!(
        "INSERT INTO events ({INSERT_COLUMNS}) SELECT * FROM (VALUES {values}) \
         WHERE column1 IS NOT NULL \
         AND EXISTS (SELECT 1 FROM events WHERE position = ? AND hash = ?) \
         AND (SELECT max(epoch) FROM epochs) = ? AND NOT EXISTS {}",
        has_version!("1" from "?")
    ))
}

/// A statement that is cloned without its text.
pub(crate) fn shared(sql: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(sql)).into_sql_str()
}

/// Cuts a batch into statements.
fn chunks(head: &Head, events: &[StoredEvent]) -> Result<Vec<Chunk>, AppendError> {
    let mut before = (head.position, head.hash);
    let mut chunks = Vec::with_capacity(events.len().div_ceil(MAX_ROWS));
    for rows in events.chunks(MAX_ROWS) {
        let chunk =
            chunk(before, head, rows).map_err(|error| AppendError::Refused(error.to_string()))?;
        chunks.push(chunk);
        before = rows.last().map_or(before, |row| (row.position, row.hash));
    }
    Ok(chunks)
}

fn chunk(
    before: (configapi_event_log::domain::Position, configapi_event_log::Hash),
    head: &Head,
    rows: &[StoredEvent],
) -> Result<Chunk, sqlx::error::BoxDynError> {
    let size = rows.len().next_power_of_two();
    let mut arguments = SqliteArguments::default();
    arguments.reserve(size * COLUMNS_COUNT + 4, 0);
    let mut event_type = EventType::default();
    rows.iter().try_for_each(|row| bind(&mut arguments, row, &mut event_type))?;
    (rows.len()..size).try_for_each(|_| bind_nothing(&mut arguments))?;
    arguments.add(signed(before.0.0))?;
    arguments.add(&before.1.0[..])?;
    arguments.add(signed(head.epoch.0))?;
    let power = usize::try_from(size.trailing_zeros())?;
    Ok(Chunk { sql: INSERTS[power].clone(), arguments, rows: rows.len() })
}

/// Sends one statement. That nothing was inserted means that the head is not there, or a version that nobody
/// here could tell of is taken.
async fn send(
    connection: &mut SqliteConnection,
    chunk: Chunk,
    unproven: &str,
) -> Result<bool, AppendError> {
    let Chunk { sql, mut arguments, rows } = chunk;
    arguments.add(unproven).map_err(|error| AppendError::Refused(error.to_string()))?;
    let done = sqlx::query_with(sql, arguments)
        .execute(connection)
        .await
        .map_err(|error| append_error(&error))?;
    Ok(done.rows_affected() == rows as u64)
}
