//! Measures the adapter on the database that `DATABASE_URL` names: appends, replay, wake-ups.
//! Writes into that database for good; use a scratch one, on a server that is durable.
//!
//! `scripts/with-postgres --durable cargo run --release -p configapi-event-log-postgres --example
//! append_speed`

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::time::{Duration, Instant};

use configapi_domain::{
    ConfigEvent, ConfigKey, Content, Position, Provenance, Timestamp, Value, Version,
};
use configapi_event_log::{
    CommandPart, Draft, EventLog, Head, PageLimit, StoredEvent, Tail, decode, encode, seal,
};
use configapi_event_log_postgres::{Access, PostgresLog};

const BATCH: u64 = 256;
const STREAMS: u64 = 100_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let url = std::env::var("DATABASE_URL")?;
    let events: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let log = PostgresLog::open(&url, Access::ReadWrite).await?;
    append(&log, events).await?;
    replay(&log).await?;
    look_up(&log).await?;
    wake(&log, &PostgresLog::open(&url, Access::ReadWrite).await?).await
}

fn batch(head: &mut Head, first: u64, size: u64) -> Outcome<Vec<StoredEvent>> {
    let provenance = Provenance::default();
    let value = "v".repeat(128);
    let mut rows = Vec::new();
    for number in first..first + size {
        let key = ConfigKey::parse("", &format!("service/{}", number % STREAMS))?;
        let event = ConfigEvent::Set {
            content: Content::untyped(Value::parse(value.as_str())?),
            old_value: (number >= STREAMS).then(|| Value::parse(value.as_str())).transpose()?,
        };
        let mut row = encode(&Draft {
            position: head.position.next(),
            version: Version(number / STREAMS + 1),
            recorded_at: Timestamp(head.recorded_at.0 + 1),
            key: &key,
            event: &event,
            provenance: &provenance,
            request: None,
            part: CommandPart::WHOLE,
        });
        seal(head.hash, &mut row);
        head.position = row.position;
        head.hash = row.hash;
        head.recorded_at = row.recorded_at;
        rows.push(row);
    }
    Ok(rows)
}

async fn append(log: &PostgresLog, events: u64) -> Outcome<()> {
    let mut head = log.head().await?;
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    let mut in_store = Duration::ZERO;
    for first in (head.position.0..).step_by(256).take(usize::try_from(events / BATCH)?) {
        let known = head;
        let rows = batch(&mut head, first, BATCH)?;
        let asked = Instant::now();
        log.append(&known, &rows).await?;
        slowest = slowest.max(asked.elapsed());
        in_store += asked.elapsed();
    }
    let per_second = |time: Duration| rate(events, time);
    println!(
        "append: {} events/s with encoding and chain, {} events/s within append; slowest {slowest:?}",
        per_second(began.elapsed()),
        per_second(in_store)
    );
    Ok(())
}

async fn replay(log: &PostgresLog) -> Outcome<()> {
    let genesis = log.read(Position::GENESIS, PageLimit::new(1, 1)).await?.events;
    let genesis = genesis.first().ok_or("no genesis")?;
    for with_rules in [false, true] {
        let mut tail = Tail::after(genesis.position, genesis.hash);
        let (mut from, mut rows, began) = (Position::GENESIS, 0, Instant::now());
        loop {
            let page = log.read(from, PageLimit::REPLAY).await?;
            let is_cut = page.is_cut;
            rows += page.events.len() as u64 - 1;
            if with_rules {
                for row in tail.advance(page)? {
                    decode(&row)?;
                }
                from = tail.position();
            } else {
                from = page.events.last().map_or(from, |row| row.position);
            }
            if !is_cut {
                break;
            }
        }
        let rules = if with_rules { "with chain and decoding" } else { "raw" };
        let took = began.elapsed();
        println!("replay {rules}: {rows} rows in {took:?}, {} rows/s", rate(rows, took));
    }
    Ok(())
}

async fn look_up(log: &PostgresLog) -> Outcome<()> {
    let names: Vec<String> = (0..256).map(|n| format!("default/service/{}", n * 7)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let head = percentiles(100, || async { Ok(log.head().await.map(|_| ())?) }).await?;
    let newest =
        percentiles(100, || async { Ok(log.newest(&names, usize::MAX).await.map(|_| ())?) })
            .await?;
    println!("head: {head}; newest of 256 streams: {newest}");
    Ok(())
}

async fn percentiles<F: Future<Output = Outcome<()>>>(
    times: usize,
    run: impl Fn() -> F,
) -> Outcome<String> {
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        run().await?;
        taken.push(began.elapsed());
    }
    Ok(in_words(taken))
}

fn in_words(mut taken: Vec<Duration>) -> String {
    taken.sort_unstable();
    let at = |percent: usize| taken.get(taken.len() * percent / 100).copied().unwrap_or_default();
    format!("p50 {:?}, p99 {:?}", at(50), at(99))
}

/// From the moment an append is sent until another instance is woken by it, and has read it.
async fn wake(writer: &PostgresLog, reader: &PostgresLog) -> Outcome<()> {
    let mut head = writer.head().await?;
    let (mut appended, mut woken, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..300 {
        let known = head;
        let rows = batch(&mut head, known.position.0, 1)?;
        let waits = async {
            reader.grown(known.position, Duration::from_secs(5)).await;
            let woken = Instant::now();
            let page = reader.read(known.position, PageLimit::TAIL).await;
            (woken, Instant::now(), page.is_ok_and(|page| page.events.len() > 1))
        };
        let appends = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let asked = Instant::now();
            let outcome = writer.append(&known, &rows).await;
            (asked, Instant::now(), outcome)
        };
        let ((heard_at, read_at, is_there), (asked, done, outcome)) = tokio::join!(waits, appends);
        outcome?;
        if !is_there {
            return Err("woken for nothing".into());
        }
        appended.push(done - asked);
        woken.push(heard_at.saturating_duration_since(done));
        read.push(read_at.saturating_duration_since(done));
    }
    println!("append of one event: {}", in_words(appended));
    println!(
        "after it, another instance is woken: {}, has read: {}",
        in_words(woken),
        in_words(read)
    );
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people"
)]
fn rate(count: u64, time: Duration) -> u64 {
    (count as f64 / time.as_secs_f64()) as u64
}
