//! Where the file is, and how connections to it are opened.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use configapi_event_log::LogError;
use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnectionMetadata;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use crate::fault::{is_busy, log_error};
use crate::file::{self, Mark, OpenFile, Still};
use crate::rights;

/// How long a connection waits for a lock that another process holds.
const MAX_BUSY_WAIT: Duration = Duration::from_secs(5);
/// The pause between two tries where SQLite does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// How long a task waits for a connection that other tasks of this process hold.
const MAX_QUEUE_WAIT: Duration = Duration::from_secs(10);
/// Reads at once, the poller's connection included.
const MAX_READERS: u32 = 6;
/// Rows, or chunks of rows, that may be on their way from a connection's thread. With the largest
/// values this bounds what a read can hold beyond its page.
const ROWS_IN_FLIGHT: usize = 2;
/// What the writer keeps of the file in memory: 16 MiB. Each event is looked for in the index of streams, and
/// a page that is not at hand has to be looked for in the write-ahead log first.
const WRITER_CACHE: &str = "-16384";
/// Pages in the write-ahead log before the writer moves what is left of them into the file, and writes it from
/// its beginning: 64 MiB.
const CHECKPOINT_PAGES: &str = "16384";
/// What the write-ahead log is cut back to after it grew beyond: 64 MiB.
const WRITE_AHEAD_LOG_BYTES: &str = "67108864";

/// A file that holds a log.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    path: PathBuf,
}

impl Place {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Whether the file is there; what keeps it from being read is an error.
    pub(crate) fn may_be_read(&self) -> Result<bool, LogError> {
        rights::to_read(&self.path)
    }

    /// What keeps the file from being written, or made, is an error.
    pub(crate) fn may_be_written(&self) -> Result<(), LogError> {
        rights::to_write(&self.path)
    }

    /// Says that a log is about to begin here, if there is nothing yet.
    pub(crate) fn mark(&self) -> Result<Mark, LogError> {
        let mark = Mark::beside(&self.path);
        mark.set_if_empty(&self.path)?;
        Ok(mark)
    }

    /// Whether what the file holds must be a log: nobody who begins one leaves it so without a mark.
    pub(crate) fn stands_alone(&self) -> bool {
        file::stands_alone(&self.path)
    }

    pub(crate) fn shown(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// Makes the directory that the file will be in.
    pub(crate) async fn make_directory(&self) -> Result<(), LogError> {
        let Some(directory) = self.path.parent().filter(|d| !d.as_os_str().is_empty()) else {
            return Ok(());
        };
        let directory = directory.to_owned();
        let shown = directory.display().to_string();
        let made = tokio::task::spawn_blocking(move || std::fs::create_dir_all(directory)).await;
        match made {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                Err(LogError::Unusable(format!("cannot make the directory {shown}: {error}")))
            }
            Err(error) => Err(LogError::Unavailable(error.to_string())),
        }
    }

    /// For the file, once it was opened.
    pub(crate) fn open_file(&self, still: Option<Still>) -> Result<OpenFile, LogError> {
        OpenFile::at(&self.path, still)
    }

    /// The one connection that writes. A file that is not there yet is made for its owner alone.
    pub(crate) async fn writer(&self) -> Result<SqlitePool, LogError> {
        let options = self
            .options()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("journal_size_limit", WRITE_AHEAD_LOG_BYTES);
        file::make_private(&self.path);
        let began = Instant::now();
        loop {
            match pool(1).before_acquire(is_sound).connect_with(options.clone()).await {
                Ok(pool) => {
                    // Another connection finds what this one made, or nothing that may be written.
                    pool.set_connect_options(options.create_if_missing(false));
                    return Ok(pool);
                }
                // A new file is switched to its write-ahead log by whoever comes first; others who
                // come with it are turned away at once, whatever the connection's patience.
                Err(error) if is_busy(&error) && began.elapsed() < MAX_BUSY_WAIT => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(error) => return Err(log_error(&error)),
            }
        }
    }

    /// A connection that moves what was written into the file, once the writer has opened it.
    pub(crate) async fn mover(&self) -> Result<SqlitePool, LogError> {
        let options = self.options().synchronous(SqliteSynchronous::Full);
        pool(1).connect_with(options).await.map_err(|error| log_error(&error))
    }

    /// Connections that read, each read in its own snapshot.
    pub(crate) async fn readers(&self) -> Result<SqlitePool, LogError> {
        self.readers_by(self.options().read_only(true)).await.map_err(|error| match error {
            // Of a right that is missing SQLite says no more than that it cannot open.
            LogError::Unavailable(why) => {
                LogError::Unavailable(rights::missing_to_read(&self.path).unwrap_or(why))
            }
            other => other,
        })
    }

    /// A right that is missing to read the file as long as nobody has it open.
    pub(crate) fn missing_to_read(&self) -> Option<String> {
        rights::missing_to_read(&self.path)
    }

    /// Connections that read a file which nobody has open and beside which we may make none, if it is
    /// one. SQLite then looks for no writer, so what they read holds only if the file is still the same.
    pub(crate) async fn still_readers(&self) -> Result<Option<(SqlitePool, Still)>, LogError> {
        let still = Still::at(&self.path).filter(|_| rights::missing_to_read(&self.path).is_some());
        let Some(still) = still else { return Ok(None) };
        let readers = self.readers_by(self.options().read_only(true).immutable(true)).await?;
        Ok(Some((readers, still)))
    }

    async fn readers_by(&self, options: SqliteConnectOptions) -> Result<SqlitePool, LogError> {
        // The file is not looked at before something is read from it.
        let readers = pool(MAX_READERS).connect_with(options).await;
        let readers = readers.map_err(|error| log_error(&error))?;
        let read = sqlx::raw_sql("SELECT count(*) FROM sqlite_schema").execute(&readers).await;
        read.map_err(|error| log_error(&error))?;
        Ok(readers)
    }

    fn options(&self) -> SqliteConnectOptions {
        // Statements are as long as their batch, and slow ones are our callers' business.
        SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(MAX_BUSY_WAIT)
            .row_buffer_size(ROWS_IN_FLIGHT)
            .disable_statement_logging()
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(MAX_QUEUE_WAIT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Whether a connection that was given back can be used again. SQLite itself ends a transaction when
/// the disk is full or fails; the driver then cannot, and takes the connection to be in it for ever.
fn is_sound(
    connection: &mut SqliteConnection,
    _: PoolConnectionMetadata,
) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    let is_sound = !connection.is_in_transaction();
    Box::pin(async move { Ok(is_sound) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else a power cut takes what was acknowledged. Only a connection itself knows how it writes.
    #[tokio::test]
    async fn what_is_written_is_on_the_disk_before_anybody_is_told() {
        const FULL: i64 = 2;
        let directory = tempfile::tempdir().unwrap();
        let place = Place::new(&directory.path().join("log.db"));
        for connection in [place.writer().await.unwrap(), place.mover().await.unwrap()] {
            let ask = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&connection);
            let synchronous: i64 = ask.await.unwrap();
            assert_eq!(synchronous, FULL);
        }
    }
}
