//! The log in PostgreSQL passes the suite like any other.

use std::sync::Arc;

use async_trait::async_trait;
use configapi_event_log::EventLog;
use configapi_event_log::conformance::Factory;
use configapi_event_log_postgres::{Access, PostgresLog};

use crate::harness::Database;

#[async_trait]
impl Factory for Database {
    async fn fresh() -> Self {
        Self::create().await
    }

    async fn open(&self) -> Arc<dyn EventLog> {
        Arc::new(PostgresLog::open(&self.url, Access::ReadWrite).await.expect("the log opens"))
    }

    fn is_durable(&self) -> bool {
        true
    }
}

configapi_event_log::conformance_tests!(Database);
