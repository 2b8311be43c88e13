//! A few connections, lent out one at a time. Unlike the driver's own pool it asks an idle
//! connection nothing before or after each use; a connection that was not given back whole is cut.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use configapi_event_log::{Epoch, LogError};
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{Connection, raw_sql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::dial::{Dialed, Dialer, Purpose};
use crate::limits::{
    BACKOFF_MAX, BACKOFF_MIN, CONNECT_BOUND, LEASE_BOUND, PING_AFTER, PING_BOUND, READ_BOUND,
    SILENT_FOR,
};
use crate::lineage::begin_read_write;
use crate::trouble::Trouble;

/// Connections of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dialer: Arc<Dialer>,
    purpose: Purpose,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<(Dialed, Instant)>,
    pause: Duration,
    not_before: Option<Instant>,
    silent_until: Option<Instant>,
}

impl Pool {
    pub(crate) fn new(dialer: Arc<Dialer>, purpose: Purpose, connections: usize) -> Self {
        let permits = Arc::new(Semaphore::new(connections));
        Self(Arc::new(Shared { dialer, purpose, permits, state: Mutex::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Borrows a connection: an idle one if there is one that lives, else a new one.
    pub(crate) async fn lease(&self) -> Result<Lease, Trouble> {
        let permit = timeout(LEASE_BOUND, Arc::clone(&self.0.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Trouble::NotNow("all connections to the database are busy".to_owned()));
        };
        let idle = self.idle().await;
        let is_reused = idle.is_some();
        let dialed = match idle {
            Some(dialed) => dialed,
            None => self.dial().await?,
        };
        Ok(Lease {
            connection: Some(dialed),
            is_reused,
            is_pooled: self.0.dialer.is_pooled(),
            kept: Kept::Nothing,
            pool: self.clone(),
            _permit: permit,
        })
    }

    /// Whoever comes next gets a new connection.
    pub(crate) fn forget_idle(&self) {
        self.state().idle.clear();
    }

    /// Whether those who listen are told of appends.
    pub(crate) fn tells(&self) -> bool {
        self.state().silent_until.is_none_or(|until| until <= Instant::now())
    }

    /// From now on nobody is told for a while, if an append that tells has this trouble: the database may
    /// have no room for what is told, because one who listens does not take it. Answers whether it is so.
    pub(crate) fn falls_silent(&self, trouble: &Trouble) -> bool {
        let Trouble::AtLimit(why) = trouble else { return false };
        self.state().silent_until = Some(Instant::now() + SILENT_FOR);
        tracing::warn!(%why, "appends are not told of for a while; the log is polled");
        true
    }

    async fn idle(&self) -> Option<Dialed> {
        loop {
            let (mut dialed, since) = self.state().idle.pop()?;
            if self.0.dialer.ensure_current(dialed.epoch).is_err() {
                // It may lead to a server that was left behind; a new one will tell.
                continue;
            }
            if since.elapsed() < PING_AFTER {
                return Some(dialed);
            }
            if let Ok(Ok(())) = timeout(PING_BOUND, dialed.connection.ping()).await {
                return Some(dialed);
            }
        }
    }

    async fn dial(&self) -> Result<Dialed, Trouble> {
        let not_before = self.state().not_before;
        if let Some(instant) = not_before {
            tokio::time::sleep_until(instant.into()).await;
        }
        let dialed = timeout(CONNECT_BOUND, self.0.dialer.dial(self.0.purpose)).await;
        let dialed =
            dialed.unwrap_or_else(|_| Err(Trouble::timed_out_connecting(self.0.dialer.place())));
        let mut state = self.state();
        if dialed.is_ok() {
            state.pause = Duration::ZERO;
            state.not_before = None;
        } else {
            state.pause = (state.pause * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
            state.not_before = Some(Instant::now() + state.pause);
        }
        // Nothing was sent yet, so nothing can be under way.
        dialed.map_err(|trouble| match trouble {
            Trouble::Lost(why) => Trouble::NotNow(why),
            other => other,
        })
    }

    /// Runs a statement that writes nothing, once more on a new connection if need be.
    pub(crate) async fn fetch(
        &self,
        sql: &'static str,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, LogError> {
        self.reading(|lease| {
            let arguments = arguments.clone();
            Box::pin(async move { lease.fetch(sql, arguments).await })
        })
        .await
    }

    /// Runs something that writes nothing, once more on a new connection if the first one turns
    /// out to be of no use.
    pub(crate) async fn reading<T>(
        &self,
        run: impl for<'a> Fn(&'a mut Lease) -> BoxFuture<'a, Result<T, Trouble>>,
    ) -> Result<T, LogError> {
        let mut is_last_try = false;
        loop {
            let mut lease = self.lease().await?;
            let outcome = timeout(READ_BOUND, run(&mut lease)).await;
            let trouble = match outcome.unwrap_or_else(|_| Err(Trouble::timed_out("reading"))) {
                Ok(answer) => {
                    lease.give_back();
                    return Ok(answer);
                }
                Err(trouble) => trouble,
            };
            let is_worth_another = lease.is_reused
                || matches!(trouble, Trouble::StatementsMixedUp(_) | Trouble::CopyRefused(_));
            lease.end_with(&trouble);
            if is_last_try || !is_worth_another || trouble.leaves_connection_sound() {
                return Err(trouble.into());
            }
            is_last_try = true;
        }
    }
}

/// Which statements of a connection are kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    /// Some that read.
    Reads,
    /// Those of a transaction that the caller began.
    Transaction,
}

/// A borrowed connection. Unless it is given back it is cut, with all that was under way.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Option<Dialed>,
    is_reused: bool,
    is_pooled: bool,
    kept: Kept,
    pool: Pool,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// The connection itself.
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, Trouble> {
        // Only the end of the lease takes it.
        let dialed = self.connection.as_mut().map(|dialed| &mut dialed.connection);
        dialed.ok_or_else(|| Trouble::NotNow("the connection is gone".to_owned()))
    }

    /// Whether one may answer that holds less than was acknowledged, as far as is known.
    pub(crate) fn may_lag(&self) -> bool {
        let may_lag = self.connection.as_ref().is_some_and(|dialed| dialed.may_lag);
        !self.is_in_transaction() && (self.is_pooled || may_lag)
    }

    /// Whether one answers that may hold less than was acknowledged. Costs nothing once it is known
    /// that it does not.
    async fn lags(&mut self) -> Result<bool, Trouble> {
        if !self.may_lag() {
            return Ok(false);
        }
        let dialer = Arc::clone(&self.pool.0.dialer);
        let standing = match dialer.standing(self.connection()?).await {
            Ok(standing) => standing,
            Err(trouble) => {
                // An epoch may have been about to begin, in a transaction that nobody ends.
                self.cut();
                return Err(trouble);
            }
        };
        let may_lag = standing.may_lag();
        if let Some(dialed) = &mut self.connection {
            dialed.may_lag = may_lag;
        }
        Ok(may_lag)
    }

    /// See [`Dialer::ensure_current`]. Costs one look at a number.
    pub(crate) fn ensure_current(&self, epoch: Epoch) -> Result<(), Trouble> {
        self.pool.0.dialer.ensure_current(epoch)
    }

    /// The same for an answer that tells no epoch: of the one in which the connection was made.
    pub(crate) fn ensure_up_to_date(&self) -> Result<(), Trouble> {
        self.connection.as_ref().map_or(Ok(()), |dialed| self.ensure_current(dialed.epoch))
    }

    /// Where it comes from.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Whether the statements of this connection may have names.
    pub(crate) fn has_session(&self) -> bool {
        !self.is_pooled
    }

    /// From here on the connection is in a transaction that the caller began.
    pub(crate) fn enter_transaction(&mut self) {
        self.kept = Kept::Transaction;
    }

    /// Makes sure that the statements up to [`Lease::end_read`] reach the same server: a pooler
    /// may part them otherwise, and each statement is two messages. Where appends are made no standby
    /// may answer, and none that was left behind; behind a pooler one could, but for it to refuse a
    /// transaction that may write, and for its epoch.
    pub(crate) async fn begin_read(&mut self) -> Result<(), Trouble> {
        if !self.is_pooled || self.kept != Kept::Nothing {
            return Ok(());
        }
        match self.pool.0.purpose {
            Purpose::Read => {
                raw_sql("BEGIN READ ONLY").execute(self.connection()?).await?;
                Ok(())
            }
            Purpose::Write => {
                let epoch = begin_read_write(self.connection()?).await?;
                self.ensure_current(epoch)
            }
        }
    }

    /// See [`Lease::begin_read`].
    pub(crate) async fn end_read(&mut self) -> Result<(), Trouble> {
        if self.is_pooled && self.kept == Kept::Nothing {
            raw_sql("COMMIT").execute(self.connection()?).await?;
        }
        Ok(())
    }

    /// As [`Lease::begin_read`], for all statements up to [`Lease::end_reads`]. Each sees what was
    /// there when it began itself. Tells whether the one who answers them lags, see [`Lease::lags`].
    pub(crate) async fn begin_reads(&mut self) -> Result<bool, Trouble> {
        let mut lags = self.lags().await?;
        if self.is_pooled && self.kept == Kept::Nothing {
            let dialer = Arc::clone(&self.pool.0.dialer);
            let connection = self.connection()?;
            let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
            raw_sql(begin).execute(&mut *connection).await?;
            // It need not be the one who was asked before, and began an epoch if need be.
            lags = dialer.standing_within(connection).await?.may_lag();
            self.kept = Kept::Reads;
        }
        Ok(lags)
    }

    /// See [`Lease::begin_reads`]. A connection that was cut has nothing to end.
    pub(crate) async fn end_reads(&mut self) -> Result<(), Trouble> {
        if self.kept == Kept::Reads {
            self.kept = Kept::Nothing;
            if self.connection.is_some() {
                self.end_read().await?;
            }
        }
        Ok(())
    }

    /// Runs one statement that writes nothing.
    pub(crate) async fn fetch(
        &mut self,
        sql: &'static str,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, Trouble> {
        self.begin_read().await?;
        let query = sqlx::query_with(sql, arguments).persistent(self.has_session());
        let rows = query.fetch_all(self.connection()?).await?;
        self.end_read().await?;
        Ok(rows)
    }

    /// Whether the caller began a transaction.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.kept == Kept::Transaction
    }

    /// Cuts the connection, with all that is still on its way.
    pub(crate) fn cut(&mut self) {
        self.connection = None;
    }

    /// The connection is as it was: others may use it.
    pub(crate) fn give_back(mut self) {
        if let Some(dialed) = self.connection.take() {
            self.pool.state().idle.push((dialed, Instant::now()));
        }
    }

    /// Ends the lease after an error: gives the connection back if it is sound, and learns from
    /// the error if it is not.
    pub(crate) fn end_with(self, trouble: &Trouble) {
        match trouble {
            Trouble::StatementsMixedUp(_) => {
                self.pool.0.dialer.distrust_sessions();
                self.pool.forget_idle();
            }
            // What cut this connection most likely cut its idle neighbours too; what has shown that
            // its server was left behind says nothing good of those that were made before. And what takes
            // no writes by its defaults will not, though others may by now.
            Trouble::Lost(_) | Trouble::Behind(_) | Trouble::ReadOnly(_) => self.pool.forget_idle(),
            _ => {}
        }
        let is_open = self.is_pooled || self.is_in_transaction();
        if trouble.leaves_connection_sound() && !is_open {
            self.give_back();
        }
    }
}
