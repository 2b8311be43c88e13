//! How fast this store is, on the machine at hand: appends with their hash chain, and a replay that
//! verifies and decodes. Run with `--release`; the arguments are events, events per batch, and the
//! directory of the file.

#![expect(clippy::print_stdout, reason = "a measurement tells its figures")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use configapi_event_log::domain::{
    ConfigEvent, ConfigKey, Content, Position, Provenance, Timestamp, Value, Version,
};
use configapi_event_log::{
    CommandPart, Draft, EventLog, Head, PageLimit, StoredEvent, Tail, decode, encode, seal,
};
use configapi_event_log_sqlite::SqliteLog;

const STREAMS: u64 = 100_000;
/// Odd, and no multiple of five: streams that follow each other lie far apart.
const STRIDE: u64 = 61_803;
const VALUE_BYTES: usize = 128;
const COMMITS: u64 = 5_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let events: u64 = arguments.next().map_or(Ok(500_000), |text| text.parse())?;
    let batch: u64 = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(parent)?;
    let log = SqliteLog::open(&directory.path().join("log.db"), Timestamp(1)).await?;

    let begun = Begun::now();
    let mut head = log.head().await?;
    while head.position.0 < events {
        let rows = rows(&mut head, batch)?;
        log.append(&rows.0, &rows.1).await?;
    }
    tell("append (encode, seal, write)", events, &begun);

    for round in 1..=2 {
        let begun = Begun::now();
        replay(&*log, events).await?;
        tell(&format!("replay {round} (read, verify, decode)"), events, &begun);
    }

    let begun = Begun::now();
    let mut from = Position::GENESIS;
    while from.0 < events {
        from = log.read(from, PageLimit::TAIL).await?.events.last().ok_or("no rows")?.position;
    }
    tell("read alone", events, &begun);

    let begun = Begun::now();
    for _ in 0..COMMITS {
        let rows = rows(&mut head, 1)?;
        log.append(&rows.0, &rows.1).await?;
    }
    tell("single commits", COMMITS, &begun);
    Ok(())
}

/// When a step began, by the clock on the wall and by the processor's.
struct Begun(Instant, Duration);

impl Begun {
    fn now() -> Self {
        Self(Instant::now(), processor_time())
    }
}

/// What this process has used of all cores so far, as Linux tells it, in steps of 10 ms.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks =
        stat.split_whitespace().skip(13).take(2).filter_map(|text| text.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn tell(what: &str, count: u64, begun: &Begun) {
    let (taken, used) = (begun.0.elapsed(), processor_time().saturating_sub(begun.1));
    let rate = u128::from(count) * 1_000_000 / taken.as_micros().max(1);
    let each = used.as_nanos() / u128::from(count);
    println!("{what}: {count} in {taken:.2?}, {rate}/s, {each} ns of processor time each");
}

/// The next batch, and the head that it follows.
fn rows(head: &mut Head, count: u64) -> Result<(Head, Vec<StoredEvent>), Box<dyn Error>> {
    let before = *head;
    let provenance = Provenance::default();
    let mut rows = Vec::new();
    for _ in 0..count {
        let position = head.position.next();
        let key = ConfigKey::parse("bench", &format!("service/{}", position.0 * STRIDE % STREAMS))?;
        let value = format!("{:>width$}", position.0, width = VALUE_BYTES);
        let content = Content::untyped(Value::parse(value)?);
        let mut row = encode(&Draft {
            position,
            version: Version((position.0 - 1) / STREAMS + 1),
            recorded_at: Timestamp(head.recorded_at.0 + 1),
            key: &key,
            event: &ConfigEvent::Set { content, old_value: None },
            provenance: &provenance,
            request: None,
            part: CommandPart::WHOLE,
        });
        seal(head.hash, &mut row);
        *head = Head { position, hash: row.hash, recorded_at: row.recorded_at, ..*head };
        rows.push(row);
    }
    Ok((before, rows))
}

/// Reads the next page while the last one is verified and decoded, as a replaying server would.
async fn replay(log: &dyn EventLog, events: u64) -> Result<(), Box<dyn Error>> {
    let first = log.read(Position::GENESIS, PageLimit::TAIL).await?;
    let genesis = first.events.first().ok_or("no genesis")?;
    let mut tail = Tail::after(Position::GENESIS, genesis.hash);
    let mut page = first;
    loop {
        let last = page.events.last().ok_or("no rows")?.position;
        let work = tokio::task::spawn_blocking(move || {
            let rows = tail.advance(page).map_err(|error| error.to_string())?;
            for row in &rows {
                decode(row).map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(tail)
        });
        if last.0 >= events {
            work.await??;
            return Ok(());
        }
        let (next, worked) = tokio::join!(log.read(last, PageLimit::TAIL), work);
        (page, tail) = (next?, worked??);
    }
}
