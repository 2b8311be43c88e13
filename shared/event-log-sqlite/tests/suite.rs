//! The suite that every store passes. Each call of `open` stands for another process: it has its
//! own connections, and learns of the others' writes through the file only.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use configapi_event_log::EventLog;
use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::Timestamp;
use configapi_event_log_sqlite::SqliteLog;
use tempfile::TempDir;

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

pub(crate) struct InFile {
    pub(crate) directory: TempDir,
}

impl InFile {
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("made/on/demand/log.db")
    }
}

#[async_trait]
impl Factory for InFile {
    async fn fresh() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    async fn open(&self) -> Arc<dyn EventLog> {
        SqliteLog::open(&self.path(), NOW).await.unwrap()
    }

    fn is_durable(&self) -> bool {
        true
    }
}

configapi_event_log::conformance_tests!(InFile);
