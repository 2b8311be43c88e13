//! Moving what is committed from the write-ahead log into the file, a little at a time and beside the
//! writer, which otherwise stands still for all of it once the write-ahead log is full.

use std::sync::Arc;

use sqlx::SqlitePool;
use tokio::sync::watch;

use crate::file::OpenFile;

/// How much is written before it is moved: 4 MiB, some ten milliseconds of the disk.
const PORTION_BYTES: u64 = 4 << 20;

/// Moves what is committed and what no reader keeps where it is; waits for nobody.
const MOVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Moves portions from when it is made until it is ended, or dropped.
#[derive(Debug)]
pub(crate) struct Moving {
    connection: SqlitePool,
    written: watch::Sender<u64>,
}

impl Moving {
    /// Over a connection that does nothing else.
    pub(crate) fn over(connection: SqlitePool, file: Arc<OpenFile>) -> Self {
        let (written, portions) = watch::channel(0);
        tokio::spawn(run(connection.clone(), file, portions));
        Self { connection, written }
    }

    /// Says that so much more is committed.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.written.send_if_modified(|written| {
            let portions = *written / PORTION_BYTES;
            *written += bytes as u64;
            portions < *written / PORTION_BYTES
        });
    }

    /// Ends it, with the portion that is being moved.
    pub(crate) async fn end(&self) {
        self.connection.close().await;
    }
}

async fn run(connection: SqlitePool, file: Arc<OpenFile>, mut portions: watch::Receiver<u64>) {
    while portions.changed().await.is_ok() && file.check().is_ok() {
        let moved = sqlx::raw_sql(MOVE).execute(&connection).await;
        if connection.is_closed() {
            return;
        }
        if let Err(error) = moved {
            // It stays where it is, and the writer, which meets the same disk, says what is wrong.
            tracing::debug!(%error, "cannot move the write-ahead log into the file");
        }
    }
}
