//! Compare-and-append: one statement, one round trip, one commit. It waits for its turn, tells those
//! who listen, and inserts only on the head that it was decided on.

use configapi_event_log::{AppendError, Head, StoredEvent, check_batch};
use sqlx::postgres::PgArguments;
use tokio::time::timeout;

use crate::limits::APPEND_BOUND;
use crate::lineage::{lock_key, newest_epoch};
use crate::pool::{Lease, Pool};
use crate::read::Bound;
use crate::row::signed;
use crate::trouble::Trouble;
use crate::turn::LockedTurn;

/// The channel that appends are told on, with the newest position as text.
pub(crate) const CHANNEL: &str = "configapi_events";

// The turn is taken by the statement itself, but its snapshot is older: a head that somebody else
// moved meanwhile still looks like the head, and the key on position says that it is not. How long
// it waits, and that its commit is durable, is for the session or the transaction around it to say.
// All is asked of the row of the head, in one step of the plan: a part of its own for each question
// cost a lone append a tenth of its time. Who finds no such row has nothing to wait for.
macro_rules! append_statement {
    ($values:expr, $told:expr) => {
        concat!(
            "INSERT INTO configapi.events (position, version, recorded_at, part_index, part_size, \
             schema_version, stream, event_type, request_id, payload, metadata, hash) SELECT ",
            $values,
            " FROM configapi.events AS head WHERE head.position = $1 AND head.hash = $2 \
             AND ",
            newest_epoch!(),
            " = $3 AND pg_advisory_xact_lock(",
            lock_key!(),
            ") IS NOT NULL",
            $told
        )
    };
}

/// That those who listen are told.
macro_rules! told {
    () => {
        " AND pg_notify('configapi_events', $15) IS NOT NULL"
    };
}

// Arrays are unnested in the list of what is selected, in step: as a function in FROM they would all
// be written to a store of rows first, and read from there.
macro_rules! many {
    () => {
        "$1 + generate_series(1, cardinality($4::bigint[])), unnest($4::bigint[]), \
         unnest($5::bigint[]), unnest($6::int[]), unnest($7::int[]), unnest($8::int[]), \
         unnest($9::text[]), unnest($10::text[]), unnest($11::text[]), unnest($12::bytea[]), \
         unnest($13::bytea[]), unnest($14::bytea[])"
    };
}

/// One event needs no arrays, which cost a tenth of a lone append.
macro_rules! one {
    () => {
        "$1 + 1, $4::bigint, $5::bigint, $6::int, $7::int, $8::int, $9::text, $10::text, $11::text, \
         $12::bytea, $13::bytea, $14::bytea"
    };
}

const APPEND: &str = append_statement!(many!(), told!());
const APPEND_ONE: &str = append_statement!(one!(), told!());
const APPEND_IN_SILENCE: &str = append_statement!(many!(), "");
const APPEND_ONE_IN_SILENCE: &str = append_statement!(one!(), "");

/// Whether there is a row at a position.
const NEXT: &str = "SELECT position FROM configapi.events WHERE position = $1";

/// Appends, in a transaction of the statement's own.
pub(crate) async fn append(
    writers: &Pool,
    head: &Head,
    events: &[StoredEvent],
) -> Result<(), AppendError> {
    check_batch(head, events)?;
    loop {
        let mut lease = writers.lease().await.map_err(Trouble::of_unfinished_append)?;
        if !lease.has_session() {
            // Through a pooler only a transaction keeps the statement's messages together.
            let turn = LockedTurn::begin(lease).await.map_err(Trouble::of_unfinished_append)?;
            return turn.append(head, events).await;
        }
        let tells = writers.tells();
        let outcome = timeout(APPEND_BOUND, insert(&mut lease, head, events, tells)).await;
        match outcome.unwrap_or_else(|_| Err(Trouble::timed_out("appending"))) {
            Ok(rows) => {
                lease.give_back();
                return judge(rows, events);
            }
            Err(trouble) => {
                // Nothing was done. From now on sessions are not relied on, or nobody is told.
                let is_to_be_repeated = matches!(trouble, Trouble::StatementsMixedUp(_))
                    || tells && writers.falls_silent(&trouble);
                lease.end_with(&trouble);
                if !is_to_be_repeated {
                    return Err(explain(writers, head, trouble).await.of_append());
                }
            }
        }
    }
}

/// What it means that a version is taken. The database asks one index after the other, those that
/// were made last at the end; so it may well say this where the position is taken too, by a writer
/// that was faster.
pub(crate) async fn explain(pool: &Pool, head: &Head, trouble: Trouble) -> Trouble {
    let Trouble::VersionTaken(why) = trouble else { return trouble };
    let next = match Bound::default().with(signed(head.position.next().0)) {
        Ok(bound) => pool.fetch(NEXT, bound.done()).await,
        Err(trouble) => return trouble,
    };
    match next {
        Ok(rows) if rows.is_empty() => Trouble::Refused(why),
        Ok(_) => Trouble::PositionTaken(why),
        Err(error) => Trouble::NotNow(error.to_string()),
    }
}

/// What the number of inserted rows means.
pub(crate) fn judge(rows: u64, events: &[StoredEvent]) -> Result<(), AppendError> {
    match rows {
        0 => Err(AppendError::HeadGone),
        rows if rows == events.len() as u64 => Ok(()),
        rows => Err(AppendError::Unknown(format!("{rows} of {} rows inserted", events.len()))),
    }
}

/// Runs the statement, which tells those who listen or does not; answers how many rows it inserted.
pub(crate) async fn insert(
    lease: &mut Lease,
    head: &Head,
    events: &[StoredEvent],
    tells: bool,
) -> Result<u64, Trouble> {
    let (statement, arguments) = match events {
        [event] if tells => (APPEND_ONE, arguments_of_one(head, event)?),
        [event] => (APPEND_ONE_IN_SILENCE, arguments_of_one(head, event)?),
        _ if tells => (APPEND, arguments(head, events)?),
        _ => (APPEND_IN_SILENCE, arguments(head, events)?),
    };
    let query = sqlx::query_with(statement, arguments).persistent(lease.has_session());
    Ok(query.execute(lease.connection()?).await?.rows_affected())
}

fn arguments_of_one(head: &Head, event: &StoredEvent) -> Result<PgArguments, Trouble> {
    Ok(Bound::default()
        .with(signed(head.position.0))?
        .with(&head.hash.0[..])?
        .with(signed(head.epoch.0))?
        .with(signed(event.version.0))?
        .with(event.recorded_at.0)?
        .with(small(event.part.index))?
        .with(small(event.part.size))?
        .with(small(event.schema_version))?
        .with(&*event.stream)?
        .with(&*event.event_type)?
        .with(event.request_id.as_deref())?
        .with(event.payload.as_bytes())?
        .with(event.metadata.as_bytes())?
        .with(&event.hash.0[..])?
        .with(event.position.to_string())?
        .done())
}

/// A batch that was checked holds no larger numbers; a reader would refuse what is negative.
fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(-1)
}

fn arguments(head: &Head, events: &[StoredEvent]) -> Result<PgArguments, Trouble> {
    let newest = events.last().map_or(head.position, |row| row.position);
    let numbers = |of: fn(&StoredEvent) -> i64| events.iter().map(of).collect::<Vec<i64>>();
    let smalls =
        |of: fn(&StoredEvent) -> u32| events.iter().map(|row| small(of(row))).collect::<Vec<i32>>();
    let streams: Vec<&str> = events.iter().map(|row| &*row.stream).collect();
    let event_types: Vec<&str> = events.iter().map(|row| &*row.event_type).collect();
    let requests: Vec<Option<&str>> = events.iter().map(|row| row.request_id.as_deref()).collect();
    let payloads: Vec<&[u8]> = events.iter().map(|row| row.payload.as_bytes()).collect();
    let metadata: Vec<&[u8]> = events.iter().map(|row| row.metadata.as_bytes()).collect();
    let hashes: Vec<&[u8]> = events.iter().map(|row| &row.hash.0[..]).collect();
    Ok(Bound::default()
        .with(signed(head.position.0))?
        .with(&head.hash.0[..])?
        .with(signed(head.epoch.0))?
        .with(numbers(|row| signed(row.version.0)))?
        .with(numbers(|row| row.recorded_at.0))?
        .with(smalls(|row| row.part.index))?
        .with(smalls(|row| row.part.size))?
        .with(smalls(|row| row.schema_version))?
        .with(streams)?
        .with(event_types)?
        .with(requests)?
        .with(payloads)?
        .with(metadata)?
        .with(hashes)?
        .with(newest.to_string())?
        .done())
}
