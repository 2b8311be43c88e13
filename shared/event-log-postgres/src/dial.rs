//! Making a connection: finding out whether a pooler stands between us and the server, whether the
//! schema is the one we know, and which epoch the server is in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use configapi_event_log::Epoch;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Row, raw_sql};

use crate::hint::Hints;
use crate::lineage::{
    Standing, compare_timeline, compare_timeline_within, enter_timeline, pin_durability,
};
use crate::options::{Access, Target};
use crate::schema;
use crate::trouble::{Trouble, database_error};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

/// A connection that was made.
#[derive(Debug)]
pub(crate) struct Dialed {
    pub(crate) connection: PgConnection,
    /// Whether the server may hold less than was acknowledged, as far as is known: it was a standby
    /// when it was asked last, or one that had been promoted without an epoch. That may change under
    /// the connection; a primary never becomes a standby under its connections.
    pub(crate) may_lag: bool,
    /// The epoch that its server was in when it was made.
    pub(crate) epoch: Epoch,
}

/// Makes connections to one log.
#[derive(Debug)]
pub(crate) struct Dialer {
    target: Target,
    hints: Arc<Hints>,
    /// What a connection of ours must be able to read back from its session.
    mark: String,
    /// Whether sessions cannot be relied on: statements are then unnamed and each is wrapped in a
    /// transaction, settings are not for the session, notifications do not come.
    is_pooled: AtomicBool,
    is_schema_checked: AtomicBool,
}

impl Dialer {
    pub(crate) fn new(target: Target, hints: Arc<Hints>) -> Self {
        let mark = uuid::Uuid::now_v7().simple().to_string();
        let (is_pooled, is_schema_checked) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { target, hints, mark, is_pooled, is_schema_checked }
    }

    pub(crate) fn is_pooled(&self) -> bool {
        self.is_pooled.load(Ordering::Acquire)
    }

    /// From now on nothing is left in a session.
    pub(crate) fn distrust_sessions(&self) {
        if !self.is_pooled.swap(true, Ordering::AcqRel) {
            tracing::info!(
                "a pooler stands before the database: statements are not prepared by name, and \
                 the log is polled"
            );
        }
    }

    /// A connection that is ready to be used. One that may write is never made to a standby: it
    /// would outlive the standby's promotion, and nobody would have recorded the new epoch.
    pub(crate) async fn dial(&self, purpose: Purpose) -> Result<Dialed, Trouble> {
        let mut connection = self.connect().await?;
        let standing = self.admit(&mut connection).await?;
        if purpose == Purpose::Write && standing.is_standby {
            return Err(Trouble::read_only_standby());
        }
        if purpose == Purpose::Write && !self.is_pooled() {
            pin_durability(&mut connection).await?;
        }
        Ok(Dialed { connection, may_lag: standing.may_lag(), epoch: standing.epoch })
    }

    /// Makes sure that what a connection leads to is a log that we know, in an epoch no earlier than
    /// the newest we have seen.
    pub(crate) async fn admit(&self, connection: &mut PgConnection) -> Result<Standing, Trouble> {
        if self.is_schema_checked.load(Ordering::Acquire) {
            schema::ensure_unchanged(connection).await?;
        } else {
            schema::ensure(connection, self.target.access).await?;
            self.is_schema_checked.store(true, Ordering::Release);
        }
        let standing = self.standing(connection).await?;
        self.hints.enter(standing.epoch);
        Ok(standing)
    }

    /// Refuses an answer of this epoch if a later one was seen: a server that was left behind when
    /// another took over may live on, and so may the connections to it.
    pub(crate) fn ensure_current(&self, epoch: Epoch) -> Result<(), Trouble> {
        if self.hints.is_behind(epoch) {
            return Err(Trouble::Behind(format!(
                "this server is in epoch {epoch}, but the log has been seen in a later one. A standby that \
                 has not heard of it catches up by itself; one that another took over from is to be taken \
                 away; if this one is right, begin a new epoch and start this process again"
            )));
        }
        Ok(())
    }

    /// Where the server at the other end stands; whoever may write begins an epoch if need be.
    pub(crate) async fn standing(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Standing, Trouble> {
        let standing = match self.target.access {
            Access::ReadWrite => enter_timeline(connection).await?,
            Access::ReadOnly => compare_timeline(connection).await?,
        };
        self.ensure_current(standing.epoch)?;
        Ok(standing)
    }

    /// Where the server stands that a transaction is on.
    pub(crate) async fn standing_within(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Standing, Trouble> {
        let standing = compare_timeline_within(connection).await?;
        self.ensure_current(standing.epoch)?;
        Ok(standing)
    }

    /// Where the server is, as errors may name it.
    pub(crate) fn place(&self) -> &str {
        &self.target.place
    }

    async fn connect(&self) -> Result<PgConnection, Trouble> {
        let failed = |error| Trouble::of_connecting(error, self.place());
        if self.is_pooled() {
            return self.target.options.connect().await.map_err(failed);
        }
        match self.session_options().connect().await {
            Ok(mut connection) => {
                // A pooler may also swallow the settings in silence.
                if !self.bears_mark(&mut connection).await? {
                    self.distrust_sessions();
                }
                Ok(connection)
            }
            Err(error) if refuses_settings(&error) => {
                self.distrust_sessions();
                self.target.options.connect().await.map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// With the settings that a session of ours has. Plans are made once and kept, so they must be
    /// right for a log that has grown since: there is an index for every statement, none may scan.
    pub(crate) fn session_options(&self) -> PgConnectOptions {
        self.target.options.clone().options([
            ("configapi.session", self.mark.as_str()),
            ("enable_seqscan", "off"),
            ("plan_cache_mode", "force_generic_plan"),
            ("jit", "off"),
            ("default_transaction_isolation", "read committed"),
            ("lock_timeout", "5s"),
            ("statement_timeout", "60s"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("tcp_keepalives_idle", "30"),
            ("tcp_keepalives_interval", "10"),
            ("tcp_keepalives_count", "3"),
        ])
    }

    async fn bears_mark(&self, connection: &mut PgConnection) -> Result<bool, Trouble> {
        let sql = "SELECT current_setting('configapi.session', true)";
        let row = raw_sql(sql).fetch_one(connection).await?;
        let mark: Option<String> = row.try_get_unchecked(0)?;
        Ok(mark.as_deref() == Some(&self.mark))
    }
}

/// Whether a connection was refused for the settings that it came with.
fn refuses_settings(error: &sqlx::Error) -> bool {
    database_error(error)
        .is_some_and(|refusal| matches!(refusal.code(), "08P01" | "0A000" | "42704" | "22023"))
}
