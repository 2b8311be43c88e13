//! The log itself: what is open, and the port that it implements.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use configapi_event_log::domain::{Point, Position, Timestamp};
use configapi_event_log::{
    AppendError, Beginning, Epoch, EpochStart, EventLog, Hash, Head, Identity, LogError, Newest,
    Page, PageLimit, Requested, StoredEvent, Turn, check_batch,
};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, Transaction};

use crate::append::{Batch, Known};
use crate::fault::{append_error, log_error, not_begun};
use crate::file::Still;
use crate::growth::Growth;
use crate::moving::Moving;
use crate::place::Place;
use crate::read::Chunking;
use crate::turn::SqliteTurn;
use crate::{look_up, past, read, schema};

/// A log in an SQLite file.
#[derive(Debug)]
pub struct SqliteLog {
    /// None if the log is open for reading only.
    writer: Option<SqlitePool>,
    readers: SqlitePool,
    known: Known,
    chunking: Arc<Chunking>,
}

impl SqliteLog {
    /// Opens the log in this file for writing, and for reading. A file that is not there is made,
    /// with its directory; a log that begins here is given a new id, and begins `now`.
    pub async fn open(path: &Path, now: Timestamp) -> Result<Arc<Self>, LogError> {
        let (log, _) = Self::prepare(path, &Beginning::new_at(now)).await?;
        Ok(log)
    }

    /// Begins a log that has its beginning from elsewhere: from a backup. A file that holds a log
    /// already is refused.
    pub async fn begin(path: &Path, beginning: &Beginning) -> Result<Arc<Self>, LogError> {
        match Self::prepare(path, beginning).await? {
            (log, true) => Ok(log),
            (_, false) => {
                Err(LogError::Unusable(format!("{} holds a log already", path.display())))
            }
        }
    }

    /// Opens the log for writing; whether it begins here.
    async fn prepare(path: &Path, beginning: &Beginning) -> Result<(Arc<Self>, bool), LogError> {
        let place = Place::new(path);
        place.make_directory().await?;
        place.may_be_written()?;
        let mark = place.mark()?;
        let stands_alone = !mark.is_there() && place.stands_alone();
        let writer = place.writer().await?;
        if stands_alone && let Err(error) = schema::must_hold_a_log(&writer, &place).await {
            writer.close().await;
            return Err(error);
        }
        let is_new = schema::prepare(&writer, &place, beginning).await?;
        mark.remove()?;
        let readers = place.readers().await?;
        Ok((Self::of(&place, Some(writer), readers, None).await?, is_new))
    }

    /// Opens the log in this file for reading only, beside another process that writes. Makes
    /// nothing: as long as there is no log, the answer is [`LogError::Unavailable`].
    pub async fn open_for_reading(path: &Path) -> Result<Arc<Self>, LogError> {
        let place = Self::place_to_read(path)?;
        let readers = place.readers().await?;
        schema::check(&readers, &place).await?;
        Self::of(&place, None, readers, None).await
    }

    /// As [`SqliteLog::open_for_reading`], for who reads once what is there and does not wait for more: a
    /// file that nobody has open is read without the right to make files beside it too. As soon as
    /// somebody writes it, reads of such a file are [`LogError::Unavailable`].
    pub async fn open_to_read_once(path: &Path) -> Result<Arc<Self>, LogError> {
        let place = Self::place_to_read(path)?;
        let (readers, still) = match place.still_readers().await? {
            Some((readers, still)) => (readers, Some(still)),
            None => (place.readers().await.map_err(|error| refused(&place, error))?, None),
        };
        schema::check(&readers, &place).await?;
        let log = Self::of(&place, None, readers, still).await?;
        log.known.file.check_still()?;
        Ok(log)
    }

    fn place_to_read(path: &Path) -> Result<Place, LogError> {
        let place = Place::new(path);
        if place.may_be_read()? {
            return Ok(place);
        }
        let place = place.shown();
        let problem = format!("{place} is not there yet; its writer has to begin it");
        Err(LogError::Unavailable(problem))
    }

    async fn of(
        place: &Place,
        writer: Option<SqlitePool>,
        readers: SqlitePool,
        still: Option<Still>,
    ) -> Result<Arc<Self>, LogError> {
        let file = Arc::new(place.open_file(still)?);
        let growth = Growth::new(readers.clone(), writer.is_some());
        let moving = match &writer {
            Some(_) => Some(Arc::new(Moving::over(place.mover().await?, Arc::clone(&file)))),
            None => None,
        };
        let known =
            Known { file, growth, recent: Arc::default(), unindexed: Arc::default(), moving };
        Ok(Arc::new(Self { writer, readers, known, chunking: Arc::new(Chunking::new()) }))
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, LogError> {
        self.known.file.check()?;
        self.readers.acquire().await.map_err(|error| log_error(&error))
    }

    /// What was just read, if nobody wrote meanwhile where nobody may: even an error says nothing then.
    fn still<T>(&self, read: Result<T, LogError>) -> Result<T, LogError> {
        self.known.file.check_still()?;
        read
    }

    fn writer(&self) -> Result<&SqlitePool, LogError> {
        self.writer
            .as_ref()
            .ok_or_else(|| LogError::Unusable("the log is open for reading only".to_owned()))
    }

    /// Moves the write-ahead log into the file, as far as readers of other processes let it, so that
    /// the file alone is the log; then closes it.
    async fn put_in_order(&self) {
        self.readers.close().await;
        let Some(writer) = &self.writer else { return };
        if let Some(moving) = &self.known.moving {
            moving.end().await;
        }
        if self.known.file.check().is_ok() {
            // The limit is for who holds the file still; it is no fault that somebody does.
            let _ = sqlx::raw_sql(CHECKPOINT).execute(writer).await;
        }
        if self.known.file.may_be_closed() {
            writer.close().await;
        }
    }

    /// Begins a transaction that writes.
    async fn begin_writing(&self) -> Result<Transaction<'static, Sqlite>, LogError> {
        let transaction = self.writer()?.begin_with(BEGIN).await;
        let transaction = transaction.map_err(|error| log_error(&error))?;
        self.known.file.check()?;
        Ok(transaction)
    }
}

/// For who does not wait until a writer makes what is missing.
fn refused(place: &Place, error: LogError) -> LogError {
    match (error, place.missing_to_read()) {
        (LogError::Unavailable(_), Some(why)) => LogError::Unusable(why),
        (error, _) => error,
    }
}

/// Does what must not stop half-way because a caller went away.
pub(crate) async fn to_the_end(
    work: impl Future<Output = Result<(), AppendError>> + Send + 'static,
) -> Result<(), AppendError> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(AppendError::Unknown(error.to_string())),
    }
}

#[async_trait]
impl EventLog for SqliteLog {
    async fn identity(&self) -> Result<Identity, LogError> {
        let identity = read::identity(&mut *self.reader().await?).await;
        self.still(identity)
    }

    async fn head(&self) -> Result<Head, LogError> {
        let head = read::head(&mut *self.reader().await?).await;
        self.still(head)
    }

    async fn append(&self, head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
        let writer = self.writer().map_err(|error| AppendError::Refused(error.to_string()))?;
        check_batch(head, events)?;
        // Whoever goes away while waiting for the connection has done nothing.
        let mut connection = writer.acquire().await.map_err(|error| not_begun(&error))?;
        let (known, head, events) = (self.known.clone(), *head, events.to_vec());
        // The rest goes on beside the caller, who may have others to answer meanwhile.
        to_the_end(async move {
            let mut batch = Batch::new(known, head, events)?;
            batch.prepare(&mut connection).await?;
            if batch.is_one_statement() {
                batch.send(&mut connection).await?;
            } else {
                let mut transaction = sqlx::Connection::begin_with(&mut *connection, BEGIN)
                    .await
                    .map_err(|error| not_begun(&error))?;
                batch.send(&mut transaction).await?;
                transaction.commit().await.map_err(|error| append_error(&error))?;
            }
            batch.tell()
        })
        .await
    }

    async fn take_turn(&self) -> Result<Box<dyn Turn>, LogError> {
        let transaction = self.begin_writing().await?;
        let (known, chunking) = (self.known.clone(), Arc::clone(&self.chunking));
        Ok(Box::new(SqliteTurn { transaction, known, chunking }))
    }

    async fn read(&self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        let page = read::page(&mut *self.reader().await?, &self.chunking, from, limit).await;
        self.still(page)
    }

    fn at_hand(&self, from: Position, hash: Hash, limit: PageLimit) -> Option<Page> {
        self.known.recent.page(from, hash, limit)
    }

    async fn newest(&self, streams: &[&str], limit_bytes: usize) -> Result<Newest, LogError> {
        let (mut reader, unindexed) = (self.reader().await?, &self.known.unindexed);
        let newest = look_up::newest(&mut reader, unindexed, streams, limit_bytes).await;
        self.still(newest)
    }

    async fn streams_at(
        &self,
        wanted: &[(&str, Point)],
        limit_bytes: usize,
    ) -> Result<Vec<Option<StoredEvent>>, LogError> {
        let (mut reader, unindexed) = (self.reader().await?, &self.known.unindexed);
        let rows = past::streams_at(&mut reader, unindexed, wanted, limit_bytes).await;
        self.still(rows)
    }

    async fn requests(&self, ids: &[&str], limit_bytes: usize) -> Result<Requested, LogError> {
        let (mut reader, unindexed) = (self.reader().await?, &self.known.unindexed);
        let requested = look_up::requests(&mut reader, unindexed, ids, limit_bytes).await;
        self.still(requested)
    }

    async fn grown(&self, beyond: Position, patience: Duration) {
        self.known.recent.follow();
        self.known.growth.beyond(beyond, patience).await;
    }

    async fn begin_epoch(&self, head: &Head) -> Result<Epoch, LogError> {
        let mut transaction = self.begin_writing().await?;
        if read::head(&mut transaction).await? != *head {
            return Err(LogError::Unavailable("the log has moved on from that head".to_owned()));
        }
        let epoch = Epoch(head.epoch.0 + 1);
        let start = EpochStart { epoch, first_position: head.position.next() };
        schema::begin_epoch(&mut transaction, start).await?;
        transaction.commit().await.map_err(|error| log_error(&error))?;
        self.known.file.check()?;
        // What was kept says in which epoch it was read.
        self.known.recent.forget();
        Ok(epoch)
    }

    async fn close(&self) {
        let _ = tokio::time::timeout(MAX_CLOSE_WAIT, self.put_in_order()).await;
    }
}

/// Moves all there is into the file, and empties the write-ahead log; waits a second for others.
const CHECKPOINT: &str = "PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(TRUNCATE)";

/// How long putting in order may take. A process that is told to end has little time.
const MAX_CLOSE_WAIT: Duration = Duration::from_secs(5);

/// Takes the write lock at once: a transaction that reads first could not get it later.
const BEGIN: &str = "BEGIN IMMEDIATE";
