//! The log in memory passes the suite like any other.

use std::sync::Arc;

use async_trait::async_trait;
use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::Timestamp;
use configapi_event_log::{EventLog, LogId, MemoryLog};

struct InMemory(Arc<MemoryLog>);

#[async_trait]
impl Factory for InMemory {
    async fn fresh() -> Self {
        let now = Timestamp(1_700_000_000_000_000);
        Self(Arc::new(MemoryLog::new(LogId::new_at(now), now)))
    }

    async fn open(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.0) as Arc<dyn EventLog>
    }

    fn is_durable(&self) -> bool {
        false
    }
}

configapi_event_log::conformance_tests!(InMemory);
