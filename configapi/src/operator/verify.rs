//! `configapi verify`: proof that nobody edited the past. Reads the whole log from the store and
//! trusts nothing but the hashes and the rules.

mod histories;

use std::str::FromStr;

use clap::Args;
use configapi_event_log::domain::Position;
use configapi_event_log::{
    Asking, EventLog, Hash, Head, LogError, PageLimit, Recorded, StoredEvent, Tail, TailError,
    check_alone, decode, log_id_of,
};

use self::histories::{Histories, Unfoldable};
use super::backup::form::Header;
use super::store::{BAD_LOG, StoreArguments, progress, written};
use crate::arguments::OutputArguments;
use crate::failure::Failure;
use crate::output::{Printer, Record};

/// Prove from the store itself that nobody edited the past
///
/// Recomputes every hash of the chain, reads every event, and looks whether it follows from the
/// history of its config. Names the first bad row and exits with 1 if there is one. The hash of the
/// head stands for all of the past: keep it elsewhere, and give it to a later run with --expect, and
/// a log that was rewritten as a whole is found out too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi verify
  configapi verify --store postgres://configapi@localhost/configapi
  configapi verify --from 1000000
  configapi verify --output raw >> heads.txt
  configapi verify --expect 1042=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
pub struct VerifyArguments {
    /// Begin at this position; its row, and what configs were before, is believed
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    from: u64,

    /// The hash that a position had before: POSITION=HASH, as `--output raw` prints it; not before
    /// --from
    #[arg(long, value_name = "POSITION=HASH")]
    expect: Option<KnownHash>,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// The hash that a position is known to have had.
#[derive(Debug, Clone, Copy)]
struct KnownHash {
    position: Position,
    hash: Hash,
}

/// A text that is not a position and a hash.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("must be a position and 64 hexadecimal digits, such as 1042=9f86…")]
struct NotAKnownHash;

impl FromStr for KnownHash {
    type Err = NotAKnownHash;

    fn from_str(text: &str) -> Result<Self, NotAKnownHash> {
        let (position, digits) = text.split_once('=').ok_or(NotAKnownHash)?;
        let hash = parse_hash(digits).ok_or(NotAKnownHash)?;
        Ok(Self { position: Position(position.parse().map_err(|_| NotAKnownHash)?), hash })
    }
}

/// Reads 64 hexadecimal digits.
pub fn parse_hash(digits: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(Hash(hash))
}

/// Why a log does not hold.
enum Bad {
    Store(LogError),
    Row(String),
    End(Failure),
}

impl From<Unfoldable> for Bad {
    fn from(error: Unfoldable) -> Self {
        Self::Row(error.to_string())
    }
}

pub async fn run(arguments: VerifyArguments) -> Result<(), Failure> {
    let VerifyArguments { from, expect, store, output } = arguments;
    let from = Position(from);
    if let Some(known) = expect.filter(|known| known.position < from) {
        let message = format!("--expect {}=… is before --from {from}", known.position);
        return Err(Failure::usage(message)
            .with_hint("what is before --from is not looked at: begin there, or expect less"));
    }
    let log = store.open_for_reading().await?;
    let outcome = async {
        let head = log.head().await.map_err(Bad::Store)?;
        if head.position < from {
            return Err(Bad::End(ends_before(&store, head.position, from)));
        }
        let mut histories = Histories::from(from);
        let mut events = verify(&*log, from, head, expect, &mut histories).await?;
        while histories.begin_next_pass() {
            events = verify(&*log, from, head, expect, &mut histories).await?;
        }
        let identity = log.identity().await.map_err(Bad::Store)?;
        // The epochs may be younger than the head that was looked up first.
        if let Some(lost) = identity.lineage.lost_by(head.position)
            && log.head().await.map_err(Bad::Store)?.position < lost
        {
            return Err(Bad::End(store.lacks_its_end(&identity.lineage, head.position, lost)));
        }
        if !Header::new(&identity, &head).has_sane_epochs() {
            return Err(Bad::Row("its epochs are none that a log goes through".to_owned()));
        }
        Ok((head, events, identity))
    };
    let (head, events, identity) = match outcome.await {
        Ok(found) => found,
        Err(Bad::Store(error)) => return Err(store.failure(&error)),
        Err(Bad::End(failure)) => return Err(failure),
        Err(Bad::Row(why)) => {
            let message = format!("{}: {why}", store.store);
            return Err(Failure::refused(message).with_hint(BAD_LOG));
        }
    };
    let record = Record::new()
        .with("verified", true)
        .with("log_id", identity.log_id.to_string())
        .with("epoch", head.epoch.0)
        .with("events", events)
        .with("from_position", from.0)
        .with("head_position", head.position.0)
        .with("head_hash", head.hash.to_string())
        .with("known", format!("{}={}", head.position, head.hash))
        .maybe("head_recorded_at", written(head.recorded_at));
    Ok(Printer::new(output.format()).one(&record, &["known"])?)
}

/// Nothing was looked at, so nothing is known to be wrong.
fn ends_before(store: &StoreArguments, head: Position, from: Position) -> Failure {
    Failure::refused(format!("{}: the log ends at position {head}, before --from {from}", store.store))
        .with_hint(
            "begin where it has events; if it ever held that position, its end is lost: docs/runbook.md \
             says how to restore a backup",
        )
}

/// Follows the chain, and configs for which there is room, up to the head; answers how many events were
/// looked at.
async fn verify(
    log: &dyn EventLog,
    from: Position,
    head: Head,
    expect: Option<KnownHash>,
    histories: &mut Histories,
) -> Result<u64, Bad> {
    let bar = progress(head.position.0.saturating_sub(from.0));
    let asking = Asking::new(Asking::PATIENCE);
    let page =
        async |from| asking.page_or_less(log, from, PageLimit::REPLAY).await.map_err(Bad::Store);
    let first = page(from).await?;
    let Some(anchor) = first.events.first().filter(|row| row.position == from) else {
        return Err(Bad::Row(format!("position {from} is missing")));
    };
    if from == Position::GENESIS && log_id_of(anchor).is_none() {
        return Err(Bad::Row("the genesis row at position 0 is not as it was written".to_owned()));
    }
    if let Some(event) = check(anchor, None, expect)? {
        histories.follow(&event)?;
    }
    let mut tail = Tail::after(from, anchor.hash);
    let mut read = Some(first);
    while tail.position() < head.position {
        let next = match read.take() {
            Some(read) => read,
            None => page(tail.position()).await?,
        };
        let rows = tail.advance(next).map_err(|error| Bad::Row(told(&error)))?;
        if rows.is_empty() {
            let message = format!("the log ends at position {}, before its head", tail.position());
            return Err(Bad::Row(message));
        }
        let mut before = None;
        for row in &rows {
            if let Some(event) = check(row, before.replace(row), expect)? {
                histories.follow(&event)?;
            }
        }
        bar.set_position(tail.position().0.saturating_sub(from.0));
    }
    bar.finish_and_clear();
    if let Some(known) = expect.filter(|known| known.position > tail.position()) {
        return Err(Bad::Row(format!("position {} is no longer in the log", known.position)));
    }
    // The last page may hold what was written since the head was read.
    Ok(head.position.0.saturating_sub(from.0))
}

/// A row beside the one before it: is it an event that can be read, as one that was written, and has it the
/// hash that it had? There is no event in the first row of a log.
fn check(
    row: &StoredEvent,
    before: Option<&StoredEvent>,
    expect: Option<KnownHash>,
) -> Result<Option<Recorded>, Bad> {
    if let Some(known) = expect.filter(|known| known.position == row.position)
        && known.hash != row.hash
    {
        let KnownHash { position, hash } = known;
        let message = format!(
            "position {position} holds {}, which once held {hash}: history was rewritten",
            row.hash
        );
        return Err(Bad::Row(message));
    }
    if row.position == Position::GENESIS {
        return Ok(None);
    }
    let bad = |why: &str| Bad::Row(format!("the row at position {}: {why}", row.position));
    check_alone(row).map_err(bad)?;
    let event = decode(row)
        .map_err(|error| Bad::Row(format!("position {} cannot be read: {error}", row.position)))?;
    if row.part.index == 0 {
        let keyed_with = event.request.as_ref().map(|request| request.id.as_str());
        if row.request_id.as_deref() != keyed_with {
            return Err(bad("its request id is not the one that its metadata has"));
        }
    } else if before.is_some_and(|before| !is_of_one_command(before, row)) {
        return Err(bad("it is recorded otherwise than the rest of its command"));
    }
    Ok(Some(event))
}

/// Whether events that are parts of a command were recorded together, and for the same reason.
fn is_of_one_command(one: &StoredEvent, other: &StoredEvent) -> bool {
    one.recorded_at == other.recorded_at && one.metadata == other.metadata
}

fn told(error: &TailError) -> String {
    match error {
        TailError::AnchorGone { position } => {
            format!("the row at position {position} changed while the log was read")
        }
        error => error.to_string(),
    }
}
