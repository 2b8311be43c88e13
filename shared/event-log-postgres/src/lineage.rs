//! Which lineage of the log a server holds. Postgres counts its failovers and restores as
//! timelines; whoever writes to a timeline that the log does not know records a new epoch first.

use configapi_event_log::domain::Position;
use configapi_event_log::{Epoch, Head};
use sqlx::postgres::{PgConnection, PgDatabaseError, PgRow};
use sqlx::{AssertSqlSafe, Row, raw_sql};

use crate::limits::TURN_BOUND;
use crate::trouble::{Trouble, database_error};

/// The advisory lock that appends, turns, epochs and migrations take: "configap" as a number.
macro_rules! lock_key {
    () => {
        "7165066918303850864"
    };
}
pub(crate) use lock_key;

/// The same, for statements that are put together at run time.
pub(crate) const LOCK_KEY: &str = lock_key!();

/// The epoch that the log is in, as a part of a statement. An aggregate would take a step more, and
/// be planned in another way.
macro_rules! newest_epoch {
    () => {
        "(SELECT epoch FROM configapi.epochs ORDER BY epoch DESC LIMIT 1)"
    };
}
pub(crate) use newest_epoch;

/// How a commit of ours waits: as the server says, but never for less than its own disk.
macro_rules! durable {
    () => {
        "CASE WHEN current_setting('synchronous_commit') IN ('on', 'remote_apply') \
              THEN current_setting('synchronous_commit') ELSE 'on' END"
    };
}

/// What engines without timelines are on.
const NO_TIMELINE: &str = "none";

/// Waits for the lock, with the transaction's own bounds: nobody holds the turn for long. Its commit
/// is durable whatever the role's or the database's default is.
const BEGIN_TURN: &str = concat!(
    "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SELECT set_config('lock_timeout', '5s', true), \
            set_config('idle_in_transaction_session_timeout', '3s', true), \
            set_config('synchronous_commit', ",
    durable!(),
    ", true), pg_advisory_xact_lock(",
    lock_key!(),
    ")"
);

/// The same for all commits of a session, whatever becomes of those defaults.
const PIN_DURABILITY: &str =
    concat!("SELECT set_config('synchronous_commit', ", durable!(), ", false)");

/// Asked of a server, as a part of a statement: its timeline, none of one that takes no writes.
macro_rules! timeline {
    () => {
        "CASE WHEN pg_is_in_recovery() THEN NULL \
              ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END"
    };
}

const TIMELINE: &str = concat!("SELECT ", timeline!());

/// The newest epoch, the server's timeline as far as it is asked for, and the head.
macro_rules! standing {
    ($timeline:expr) => {
        concat!(
            "SELECT e.epoch, e.timeline, ",
            $timeline,
            ", (SELECT position FROM configapi.events ORDER BY position DESC LIMIT 1), \
             (SELECT encode(hash, 'hex') FROM configapi.events ORDER BY position DESC LIMIT 1) \
             FROM configapi.epochs e ORDER BY e.epoch DESC LIMIT 1"
        )
    };
}

/// Without the timeline: whether this server takes writes is all that is asked of it.
const STANDING: &str = standing!("CASE WHEN pg_is_in_recovery() THEN NULL ELSE 'none' END");

/// With the timeline, in one statement: behind a pooler the next one may reach another server.
const COMPARED: &str = standing!(timeline!());

/// The same in the middle of a transaction, which a refusal must not end.
const COMPARED_WITHIN: &str =
    concat!("SAVEPOINT comparing; ", standing!(timeline!()), "; RELEASE SAVEPOINT comparing");

const NOT_COMPARED: &str = "ROLLBACK TO SAVEPOINT comparing; RELEASE SAVEPOINT comparing";

/// Where a server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) epoch: Epoch,
    /// The timeline that the newest epoch was recorded on.
    recorded_timeline: String,
    pub(crate) is_standby: bool,
    /// The timeline that the server is on, if that was asked for and it has one.
    timeline: String,
    head: Position,
    head_hash: String,
}

impl Standing {
    fn from_row(row: &PgRow) -> Result<Self, Trouble> {
        let text = |index: usize| -> Result<String, Trouble> { Ok(row.try_get_unchecked(index)?) };
        let number = |index: usize| -> Result<u64, Trouble> {
            text(index)?.parse().map_err(|_| Trouble::Unusable("epochs are numbers".to_owned()))
        };
        let timeline: Option<String> = row.try_get_unchecked(2)?;
        let head: Option<&str> = row.try_get_unchecked(3)?;
        if head.is_none() {
            return Err(Trouble::Unusable("the log has no genesis".to_owned()));
        }
        Ok(Self {
            epoch: Epoch(number(0)?),
            recorded_timeline: text(1)?,
            is_standby: timeline.is_none(),
            timeline: timeline.unwrap_or_else(|| NO_TIMELINE.to_owned()),
            head: Position(number(3)?),
            head_hash: text(4)?,
        })
    }

    /// Whether the newest epoch is the server's. A standby begins none.
    fn is_entered(&self) -> bool {
        self.is_standby || self.timeline == self.recorded_timeline
    }

    /// Whether the server may hold less of the log than was acknowledged in its epoch: one that was
    /// promoted or restored may have lost what others were told of, as long as no epoch says so. A role
    /// that may not ask for the timeline, as on engines without any, takes the newest epoch for the
    /// server's.
    pub(crate) fn may_lag(&self) -> bool {
        self.is_standby || (!self.is_entered() && self.timeline != NO_TIMELINE)
    }

    fn is_at(&self, head: &Head) -> bool {
        self.epoch == head.epoch
            && self.head == head.position
            && self.head_hash == head.hash.to_string()
    }
}

/// The server's timeline. Asked outside of transactions: engines without timelines refuse.
pub(crate) async fn timeline(connection: &mut PgConnection) -> Result<String, Trouble> {
    let row = match raw_sql(TIMELINE).fetch_one(connection).await {
        Ok(row) => row,
        Err(error) if has_no_timelines(&error) => return Ok(NO_TIMELINE.to_owned()),
        Err(error) => return Err(error.into()),
    };
    let timeline: Option<String> = row.try_get_unchecked(0)?;
    Ok(timeline.unwrap_or_else(|| NO_TIMELINE.to_owned()))
}

/// Whether this is what an engine without timelines says when it is asked for one, or what is said to
/// a role that may not ask.
fn has_no_timelines(error: &sqlx::Error) -> bool {
    matches!(database_error(error).map(PgDatabaseError::code), Some("42883" | "0A000" | "42501"))
}

/// From now on every commit of the session is durable.
pub(crate) async fn pin_durability(connection: &mut PgConnection) -> Result<(), Trouble> {
    raw_sql(PIN_DURABILITY).execute(connection).await?;
    Ok(())
}

/// Where the server stands, in a snapshot of its own, by one of the statements above.
async fn standing(connection: &mut PgConnection, sql: &'static str) -> sqlx::Result<Option<PgRow>> {
    // Read to the end: the statement that tells may not be the last one.
    Ok(raw_sql(sql).fetch_all(connection).await?.pop())
}

fn told(row: Option<PgRow>) -> Result<Standing, Trouble> {
    let row = row.ok_or_else(|| Trouble::Unusable("the log has no epoch".to_owned()))?;
    Standing::from_row(&row)
}

/// Where the server stands, its timeline compared, outside of transactions.
pub(crate) async fn compare_timeline(connection: &mut PgConnection) -> Result<Standing, Trouble> {
    match standing(connection, COMPARED).await {
        Err(error) if has_no_timelines(&error) => told(standing(connection, STANDING).await?),
        compared => told(compared?),
    }
}

/// The same within a transaction: of the very server that it is on.
pub(crate) async fn compare_timeline_within(
    connection: &mut PgConnection,
) -> Result<Standing, Trouble> {
    match standing(connection, COMPARED_WITHIN).await {
        Err(error) if has_no_timelines(&error) => {
            raw_sql(NOT_COMPARED).execute(&mut *connection).await?;
            told(standing(connection, STANDING).await?)
        }
        compared => told(compared?),
    }
}

/// Begins a transaction that may write, and tells the log's newest epoch on whichever server it is.
pub(crate) async fn begin_read_write(connection: &mut PgConnection) -> Result<Epoch, Trouble> {
    const BEGIN: &str = concat!("BEGIN READ WRITE; SELECT ", newest_epoch!());
    let row = raw_sql(BEGIN).fetch_all(connection).await?.pop();
    let row = row.ok_or_else(|| Trouble::Unusable("the log has no epoch".to_owned()))?;
    let text: Option<String> = row.try_get_unchecked(0)?;
    let epoch = text.and_then(|text| text.parse().ok());
    epoch.map(Epoch).ok_or_else(|| Trouble::Unusable("the log has no epoch".to_owned()))
}

/// Begins a transaction that has the turn, and tells where the log stands in it. For a session, whose
/// server's timeline was compared when it began: one that takes writes stays on it.
pub(crate) async fn begin_turn(connection: &mut PgConnection) -> Result<Standing, Trouble> {
    in_time(async {
        raw_sql(BEGIN_TURN).execute(&mut *connection).await?;
        told(standing(connection, STANDING).await?)
    })
    .await
}

/// The same on whichever server the transaction is, its timeline compared.
async fn begin_turn_comparing(connection: &mut PgConnection) -> Result<Standing, Trouble> {
    in_time(async {
        raw_sql(BEGIN_TURN).execute(&mut *connection).await?;
        compare_timeline_within(connection).await
    })
    .await
}

async fn in_time(
    turn: impl Future<Output = Result<Standing, Trouble>>,
) -> Result<Standing, Trouble> {
    let standing = tokio::time::timeout(TURN_BOUND, turn).await;
    standing.map_err(|_| Trouble::timed_out("waiting for the turn"))?
}

/// As [`begin_turn`], where the server may change between two transactions: the one that the turn is
/// on is in the log's newest epoch, or begins it first.
pub(crate) async fn begin_turn_anywhere(
    connection: &mut PgConnection,
) -> Result<Standing, Trouble> {
    let now = begin_turn_comparing(connection).await?;
    if now.is_entered() {
        return Ok(now);
    }
    record_failover(connection, now).await?;
    let now = begin_turn_comparing(connection).await?;
    if now.is_entered() {
        return Ok(now);
    }
    Err(Trouble::NotNow("the database fails over again and again".to_owned()))
}

/// Makes sure that the log's newest epoch is the server's: a server on a timeline that the log
/// does not know has lost a tail, or may have.
pub(crate) async fn enter_timeline(connection: &mut PgConnection) -> Result<Standing, Trouble> {
    let known = compare_timeline(connection).await?;
    if known.is_entered() {
        return Ok(known);
    }
    let now = begin_turn_comparing(connection).await?;
    if now.is_entered() {
        raw_sql("ROLLBACK").execute(connection).await?;
        return Ok(now);
    }
    record_failover(connection, now).await
}

/// Ends a turn with the epoch of a timeline that the log does not know.
async fn record_failover(
    connection: &mut PgConnection,
    now: Standing,
) -> Result<Standing, Trouble> {
    let epoch = record_epoch(connection, &now).await?;
    tracing::warn!(
        epoch = epoch.0,
        after = now.head.0,
        timeline = now.timeline,
        "the database has failed over or was restored: a new epoch begins"
    );
    Ok(Standing { epoch, recorded_timeline: now.timeline.clone(), ..now })
}

/// Begins an epoch after `head`; none if that is not the head any more.
pub(crate) async fn begin_epoch(
    connection: &mut PgConnection,
    head: &Head,
) -> Result<Option<Epoch>, Trouble> {
    let now = begin_turn_comparing(connection).await?;
    if !now.is_at(head) {
        raw_sql("ROLLBACK").execute(connection).await?;
        return Ok(None);
    }
    shut_out_appends(connection).await?;
    record_epoch(connection, &now).await.map(Some)
}

/// Until the transaction ends no append is begun. One that began would wait for its turn in the epoch
/// of its snapshot, which is older than the wait, and be written into the new one.
async fn shut_out_appends(connection: &mut PgConnection) -> Result<(), Trouble> {
    const SHUT_OUT: &str = "LOCK TABLE configapi.events IN SHARE MODE";
    raw_sql("SAVEPOINT shutting_out").execute(&mut *connection).await?;
    let Err(error) = raw_sql(SHUT_OUT).execute(&mut *connection).await else { return Ok(()) };
    match database_error(&error).map(PgDatabaseError::code) {
        // Only the owner may, and not every engine can.
        Some("42501" | "0A000" | "42601") => {
            tracing::debug!(%error, "appends are not shut out while the epoch begins");
            raw_sql("ROLLBACK TO SAVEPOINT shutting_out").execute(connection).await?;
            Ok(())
        }
        _ => Err(error.into()),
    }
}

/// A timeline as the number it is.
fn number(timeline: &str) -> u64 {
    u64::from_str_radix(timeline, 16).unwrap_or(0)
}

/// Ends a transaction that has the turn with a new epoch after what is there.
async fn record_epoch(connection: &mut PgConnection, now: &Standing) -> Result<Epoch, Trouble> {
    // An epoch that was lost with its timeline must not come again under another meaning: timelines in
    // between that the log knows nothing of may each have begun one.
    let passed = number(&now.timeline).saturating_sub(number(&now.recorded_timeline));
    let epoch = Epoch(now.epoch.0 + passed.max(1));
    let insert = format!(
        "INSERT INTO configapi.epochs (epoch, first_position, timeline) \
         VALUES ({epoch}, {}, '{}')",
        now.head.next(),
        now.timeline.replace('\'', "''"),
    );
    raw_sql(AssertSqlSafe(insert)).execute(&mut *connection).await?;
    raw_sql("COMMIT").execute(connection).await?;
    Ok(epoch)
}
