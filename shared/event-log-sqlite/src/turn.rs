//! A writer's turn: the one writing connection, with SQLite's write lock, until the turn ends.

use std::sync::Arc;

use async_trait::async_trait;
use configapi_event_log::domain::Position;
use configapi_event_log::{
    AppendError, Head, LogError, Page, PageLimit, StoredEvent, Turn, check_batch,
};
use sqlx::{Sqlite, Transaction};

use crate::append::{Batch, Known};
use crate::fault::append_error;
use crate::log::to_the_end;
use crate::read::{self, Chunking};

/// Dropped unused, the transaction is rolled back, and the connection goes to the next in line.
#[derive(Debug)]
pub(crate) struct SqliteTurn {
    pub(crate) transaction: Transaction<'static, Sqlite>,
    pub(crate) known: Known,
    pub(crate) chunking: Arc<Chunking>,
}

#[async_trait]
impl Turn for SqliteTurn {
    async fn read(&mut self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        read::page(&mut self.transaction, &self.chunking, from, limit).await
    }

    async fn append(
        self: Box<Self>,
        head: &Head,
        events: &[StoredEvent],
    ) -> Result<(), AppendError> {
        let Self { mut transaction, known, .. } = *self;
        check_batch(head, events)?;
        let (head, events) = (*head, events.to_vec());
        to_the_end(async move {
            let mut batch = Batch::new(known, head, events)?;
            batch.prepare(&mut transaction).await?;
            batch.send(&mut transaction).await?;
            transaction.commit().await.map_err(|error| append_error(&error))?;
            batch.tell()
        })
        .await
    }
}
