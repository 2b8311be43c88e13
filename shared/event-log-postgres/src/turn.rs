//! A writer's turn: a transaction that holds the lock all appends queue on. The database itself
//! ends a turn whose writer stopped.

use std::sync::Arc;

use async_trait::async_trait;
use configapi_event_log::domain::Position;
use configapi_event_log::{
    AppendError, Head, LogError, Page, PageLimit, StoredEvent, Turn, check_batch,
};
use sqlx::{AssertSqlSafe, raw_sql};
use tokio::time::timeout;

use crate::append::{explain, insert, judge};
use crate::hint::Hints;
use crate::limits::{APPEND_BOUND, MAX_QUICK_BYTES, READ_BOUND, ROLLBACK_BOUND, TURN_BOUND};
use crate::lineage::{begin_turn, begin_turn_anywhere};
use crate::page::Pages;
use crate::pool::{Lease, Pool};
use crate::trouble::Trouble;

/// For how many milliseconds a turn may be idle.
const MAY_BE_IDLE: &str = "SET LOCAL idle_in_transaction_session_timeout = ";

/// A transaction that has the turn.
#[derive(Debug)]
pub(crate) struct LockedTurn {
    /// Gone once the turn has ended.
    lease: Option<Lease>,
}

impl LockedTurn {
    /// Waits for the turn.
    pub(crate) async fn begin(mut lease: Lease) -> Result<Self, Trouble> {
        lease.enter_transaction();
        let is_pooled = !lease.has_session();
        let connection = lease.connection()?;
        let begun = async {
            // Behind a pooler the server may change under a connection.
            if is_pooled {
                begin_turn_anywhere(connection).await
            } else {
                begin_turn(connection).await
            }
        };
        let begun = timeout(TURN_BOUND * 2, begun).await;
        let standing = match begun.unwrap_or_else(|_| Err(Trouble::timed_out("taking the turn"))) {
            Ok(standing) => standing,
            Err(trouble) => {
                lease.end_with(&trouble);
                return Err(trouble);
            }
        };
        let mut turn = Self { lease: Some(lease) };
        // Dropping the turn would give the connection back.
        if let Some(Err(trouble)) =
            turn.lease.as_ref().map(|lease| lease.ensure_current(standing.epoch))
        {
            turn.end_with(&trouble);
            return Err(trouble);
        }
        if standing.is_standby {
            return Err(Trouble::read_only_standby());
        }
        Ok(turn)
    }

    fn lease(&mut self) -> Result<&mut Lease, Trouble> {
        self.lease.as_mut().ok_or_else(|| Trouble::NotNow("the turn is over".to_owned()))
    }

    /// Inserts and commits. Before the commit was asked for, nothing can be written.
    pub(crate) async fn append(
        mut self,
        head: &Head,
        events: &[StoredEvent],
    ) -> Result<(), AppendError> {
        check_batch(head, events)?;
        let lease = self.lease().map_err(Trouble::of_unfinished_append)?;
        let pool = lease.pool().clone();
        let tells = pool.tells();
        // What was refused for that is not repeated here: the turn is over. It is as if it had been lost.
        let is_to_be_repeated = |trouble: &Trouble| tells && pool.falls_silent(trouble);
        let insert = async {
            if events.iter().map(StoredEvent::weight_bytes).sum::<usize>() > MAX_QUICK_BYTES {
                let idle = AssertSqlSafe(format!("{MAY_BE_IDLE}{}", APPEND_BOUND.as_millis()));
                raw_sql(idle).execute(lease.connection()?).await?;
            }
            insert(lease, head, events, tells).await
        };
        let inserted = timeout(APPEND_BOUND, insert).await;
        let inserted = inserted.unwrap_or_else(|_| Err(Trouble::timed_out("appending")));
        let rows = match inserted {
            Ok(rows) => rows,
            Err(trouble) => {
                self.end_with(&trouble);
                drop(self);
                if is_to_be_repeated(&trouble) {
                    return Err(AppendError::HeadMoved);
                }
                return Err(explain(&pool, head, trouble).await.of_unfinished_append());
            }
        };
        // Nothing to commit: dropping the turn gives it back.
        judge(rows, events)?;
        let commit = async {
            let lease = self.lease()?;
            Ok(raw_sql("COMMIT").execute(lease.connection()?).await?)
        };
        let committed = timeout(APPEND_BOUND, commit).await;
        match committed.unwrap_or_else(|_| Err(Trouble::timed_out("committing"))) {
            Ok(_) => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
                Ok(())
            }
            Err(trouble) => {
                self.end_with(&trouble);
                Err(if is_to_be_repeated(&trouble) {
                    AppendError::HeadMoved
                } else {
                    trouble.of_append()
                })
            }
        }
    }

    /// After an error the transaction is of no use, but the connection may be.
    fn end_with(&mut self, trouble: &Trouble) {
        if trouble.leaves_connection_sound() {
            // Dropping the turn rolls back.
            return;
        }
        if let Some(lease) = self.lease.take() {
            lease.end_with(trouble);
        }
    }
}

impl Drop for LockedTurn {
    /// Gives the turn back at once, and its connection if it answers soon.
    fn drop(&mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let rollback = async {
                raw_sql("ROLLBACK").execute(lease.connection()?).await?;
                Ok::<(), Trouble>(())
            };
            if let Ok(Ok(())) = timeout(ROLLBACK_BOUND, rollback).await {
                lease.give_back();
            }
        });
    }
}

/// The turn as the port knows it.
#[derive(Debug)]
pub(crate) struct PostgresTurn {
    turn: LockedTurn,
    pages: Arc<Pages>,
    hints: Arc<Hints>,
}

impl PostgresTurn {
    pub(crate) async fn begin(
        writers: &Pool,
        pages: Arc<Pages>,
        hints: Arc<Hints>,
    ) -> Result<Self, LogError> {
        let lease = writers.lease().await?;
        Ok(Self { turn: LockedTurn::begin(lease).await?, pages, hints })
    }
}

#[async_trait]
impl Turn for PostgresTurn {
    async fn read(&mut self, from: Position, limit: PageLimit) -> Result<Page, LogError> {
        let read = timeout(READ_BOUND, self.pages.read(self.turn.lease()?, from, limit)).await;
        let read = read.unwrap_or_else(|_| Err(Trouble::timed_out("reading")));
        if let Err(trouble) = &read {
            self.turn.end_with(trouble);
        }
        Ok(read?)
    }

    async fn append(
        self: Box<Self>,
        head: &Head,
        events: &[StoredEvent],
    ) -> Result<(), AppendError> {
        let Self { turn, hints, .. } = *self;
        // What was decided may be of a later epoch, and the server that has the turn in none that counts.
        if hints.is_behind(head.epoch) {
            return Err(AppendError::HeadGone);
        }
        turn.append(head, events).await?;
        hints.appended(head, events)
    }
}
