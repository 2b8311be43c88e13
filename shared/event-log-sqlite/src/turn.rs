//! A writer's turn: the one writing connection, with SQLite's write lock, until the turn ends.

use std::sync::Arc;

use async_trait::async_trait;
use configapi_event_log::domain::Position;
use configapi_event_log::{
    AppendError, Head, LogError, Page, PageLimit, StoredEvent, Turn, check_batch,
};
use sqlx::{Sqlite, Transaction};

use crate::append::{chunks, send};
use crate::fault::append_error;
use crate::file::OpenFile;
use crate::growth::Growth;
use crate::log::to_the_end;
use crate::read::{self, Chunking};
use crate::recent::Recent;

/// Dropped unused, the transaction is rolled back, and the connection goes to the next in line.
#[derive(Debug)]
pub(crate) struct SqliteTurn {
    pub(crate) transaction: Transaction<'static, Sqlite>,
    pub(crate) file: Arc<OpenFile>,
    pub(crate) growth: Growth,
    pub(crate) recent: Arc<Recent>,
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
        check_batch(head, events)?;
        let chunks = chunks(head, events)?;
        let end = events.last().map_or(head.position, |row| row.position);
        let Self { mut transaction, file, growth, recent, .. } = *self;
        file.check().map_err(|error| AppendError::Unavailable(error.to_string()))?;
        let (epoch, copy) = (head.epoch, recent.copy_of(events));
        to_the_end(async move {
            for chunk in chunks {
                send(&mut transaction, chunk).await?;
            }
            transaction.commit().await.map_err(|error| append_error(&error))?;
            file.check().map_err(|error| AppendError::Unknown(error.to_string()))?;
            recent.keep(epoch, copy);
            growth.grew_to(end);
            Ok(())
        })
        .await
    }
}
