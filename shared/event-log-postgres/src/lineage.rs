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

const TIMELINE: &str = "
    SELECT CASE WHEN pg_is_in_recovery() THEN NULL
                ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END";

/// The newest epoch, whether this server takes writes, and its timeline.
const STANDING: &str = "
    SELECT e.epoch, e.timeline, pg_is_in_recovery()::text,
           (SELECT position FROM configapi.events ORDER BY position DESC LIMIT 1),
           (SELECT encode(hash, 'hex') FROM configapi.events ORDER BY position DESC LIMIT 1)
    FROM configapi.epochs e ORDER BY e.epoch DESC LIMIT 1";

/// Where a server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) epoch: Epoch,
    /// The timeline that the newest epoch was recorded on.
    recorded_timeline: String,
    pub(crate) is_standby: bool,
    /// Whether the server is on another timeline: it was promoted or restored, and may have lost what
    /// others were told of, but no epoch says so yet.
    is_unannounced: bool,
    head: Position,
    head_hash: String,
}

impl Standing {
    fn from_row(row: &PgRow) -> Result<Self, Trouble> {
        let text = |index: usize| -> Result<String, Trouble> { Ok(row.try_get_unchecked(index)?) };
        let number = |index: usize| -> Result<u64, Trouble> {
            text(index)?.parse().map_err(|_| Trouble::Unusable("epochs are numbers".to_owned()))
        };
        Ok(Self {
            epoch: Epoch(number(0)?),
            recorded_timeline: text(1)?,
            is_standby: text(2)? == "true",
            is_unannounced: false,
            head: Position(number(3)?),
            head_hash: text(4)?,
        })
    }

    /// Whether the server may hold less of the log than was acknowledged in its epoch.
    pub(crate) fn may_lag(&self) -> bool {
        self.is_standby || self.is_unannounced
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
        Err(error) => {
            return match database_error(&error).map(PgDatabaseError::code) {
                Some("42883" | "0A000" | "42501") => Ok(NO_TIMELINE.to_owned()),
                _ => Err(error.into()),
            };
        }
    };
    let timeline: Option<String> = row.try_get_unchecked(0)?;
    Ok(timeline.unwrap_or_else(|| NO_TIMELINE.to_owned()))
}

/// From now on every commit of the session is durable.
pub(crate) async fn pin_durability(connection: &mut PgConnection) -> Result<(), Trouble> {
    raw_sql(PIN_DURABILITY).execute(connection).await?;
    Ok(())
}

/// Where the server stands, in a snapshot of its own.
pub(crate) async fn standing(connection: &mut PgConnection) -> Result<Standing, Trouble> {
    let row = raw_sql(STANDING).fetch_optional(connection).await?;
    let row = row.ok_or_else(|| Trouble::Unusable("the log has no epoch".to_owned()))?;
    Standing::from_row(&row)
}

/// Begins a transaction that has the turn, and tells where the log stands in it.
pub(crate) async fn begin_turn(connection: &mut PgConnection) -> Result<Standing, Trouble> {
    let begin = async {
        raw_sql(BEGIN_TURN).execute(&mut *connection).await?;
        standing(connection).await
    };
    let standing = tokio::time::timeout(TURN_BOUND, begin).await;
    standing.map_err(|_| Trouble::timed_out("waiting for the turn"))?
}

/// Where the server stands, for those who may not begin an epoch. A role that may not ask for the
/// timeline, as on engines without any, takes the newest epoch for the server's.
pub(crate) async fn compare_timeline(connection: &mut PgConnection) -> Result<Standing, Trouble> {
    let timeline = timeline(connection).await?;
    let known = standing(connection).await?;
    let is_unannounced =
        !known.is_standby && timeline != NO_TIMELINE && timeline != known.recorded_timeline;
    Ok(Standing { is_unannounced, ..known })
}

/// Makes sure that the log's newest epoch is the server's: a server on a timeline that the log
/// does not know has lost a tail, or may have.
pub(crate) async fn enter_timeline(connection: &mut PgConnection) -> Result<Standing, Trouble> {
    let timeline = timeline(connection).await?;
    let known = standing(connection).await?;
    if known.is_standby || known.recorded_timeline == timeline {
        return Ok(known);
    }
    let mut now = begin_turn(connection).await?;
    if now.recorded_timeline == timeline {
        raw_sql("ROLLBACK").execute(connection).await?;
        return Ok(now);
    }
    let epoch = record_epoch(connection, &now, &timeline).await?;
    tracing::warn!(
        epoch = epoch.0,
        after = now.head.0,
        timeline,
        "the database has failed over or was restored: a new epoch begins"
    );
    now.epoch = epoch;
    now.recorded_timeline = timeline;
    Ok(now)
}

/// Begins an epoch after `head`; none if that is not the head any more.
pub(crate) async fn begin_epoch(
    connection: &mut PgConnection,
    head: &Head,
) -> Result<Option<Epoch>, Trouble> {
    let timeline = timeline(connection).await?;
    let now = begin_turn(connection).await?;
    if !now.is_at(head) {
        raw_sql("ROLLBACK").execute(connection).await?;
        return Ok(None);
    }
    shut_out_appends(connection).await?;
    record_epoch(connection, &now, &timeline).await.map(Some)
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
async fn record_epoch(
    connection: &mut PgConnection,
    now: &Standing,
    timeline: &str,
) -> Result<Epoch, Trouble> {
    // An epoch that was lost with its timeline must not come again under another meaning: timelines in
    // between that the log knows nothing of may each have begun one.
    let passed = number(timeline).saturating_sub(number(&now.recorded_timeline));
    let epoch = Epoch(now.epoch.0 + passed.max(1));
    let insert = format!(
        "INSERT INTO configapi.epochs (epoch, first_position, timeline) \
         VALUES ({epoch}, {}, '{}')",
        now.head.next(),
        timeline.replace('\'', "''"),
    );
    raw_sql(AssertSqlSafe(insert)).execute(&mut *connection).await?;
    raw_sql("COMMIT").execute(connection).await?;
    Ok(epoch)
}
