//! Many watchers of many writers: whatever they ask for, whenever they begin and however often they
//! are cut off, each gets exactly its slice of the log.

use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::Recorded;
use configapi_proto::v1::{Event, WatchRequest, event, watch_request::Start, watch_response};
use tokio::sync::{Mutex, Semaphore};

use crate::oracle;
use crate::support::{Op, Server, Writer, key, memory_log};
use crate::watching::{Filter, STREAMS, filters, small_frames};

const WRITERS: u64 = 8;
const COMMANDS: u64 = 25;
const WATCHERS: u64 = 50;
/// What the log holds before anybody watches.
const EARLY_COMMANDS: u64 = 40;
/// How far beyond the head a watch asks to begin.
const FUTURE: u64 = 60;
/// The log grows at least so far whoever watches, so that every watch begins before it ends.
const LEAST_EVENTS: u64 = 400;
/// How long a test waits for what has to happen soon.
const PATIENCE: Duration = Duration::from_secs(20);
const THE_END: &str = "the end";

/// Chance that can be repeated: the generator called splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

/// What one watcher did and got.
struct Seen {
    filter: usize,
    after: u64,
    cuts: u64,
    events: Vec<Event>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_watchers_of_eight_writers_each_get_exactly_their_slice_over_all_cuts() {
    let log = memory_log(1);
    let writer = Arc::new(Mutex::new(Writer::new(log.clone()).await));
    write(&writer, Chance(0), EARLY_COMMANDS).await;
    let server = Arc::new(Server::start(log, &small_frames(8)));
    server.until_ready().await;

    let begun = Arc::new(Semaphore::new(0));
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|number| {
            let (server, writer) = (Arc::clone(&server), Arc::clone(&writer));
            let begun = Arc::clone(&begun);
            tokio::spawn(async move { follow(&server, &writer, &begun, number).await })
        })
        .collect();
    write_side_by_side(&writer, 1).await;
    grow(&writer).await;
    // Whoever begins after the end would wait for it for ever.
    let all_begun = begun.acquire_many(u32::try_from(WATCHERS).unwrap());
    let _ = tokio::time::timeout(PATIENCE, all_begun).await.expect("a watch never began").unwrap();
    // However late they began, all of them watch this.
    write_side_by_side(&writer, 1 + WRITERS).await;
    let written = end(&writer).await;

    let filters = filters();
    let (mut cuts, mut told) = (0, 0);
    for watcher in watchers {
        let seen = watcher.await.unwrap();
        let expected = slice(&written, &filters[seen.filter], seen.after);
        assert_eq!(seen.events.len(), expected.len(), "after {}", seen.after);
        for (index, (got, wanted)) in seen.events.iter().zip(&expected).enumerate() {
            assert_eq!(got, wanted, "event {index} after {}", seen.after);
        }
        cuts += seen.cuts;
        told += expected.len();
    }
    assert!(cuts > 200 && told > 3_000, "{cuts} cuts and {told} events are no test");
}

fn slice(written: &[Recorded], (_, matches): &Filter, after: u64) -> Vec<Event> {
    let matching = written.iter().filter(|it| it.position.0 > after && matches(&it.key));
    matching.map(oracle::event).collect()
}

/// What all writers write at once, with chances from this one on.
async fn write_side_by_side(writer: &Arc<Mutex<Writer>>, first_chance: u64) {
    let writers: Vec<_> = (first_chance..first_chance + WRITERS)
        .map(|number| {
            let writer = Arc::clone(writer);
            tokio::spawn(async move { write(&writer, Chance(number), COMMANDS).await })
        })
        .collect();
    for one in writers {
        one.await.unwrap();
    }
}

/// Commits commands of one to five configs, one after the other, between those of others.
async fn write(writer: &Mutex<Writer>, mut chance: Chance, commands: u64) {
    for number in 0..commands {
        let ops = (0..=chance.below(5))
            .map(|_| {
                let op = match chance.below(6) {
                    0 => Op::Delete,
                    1 => Op::Restore(None),
                    _ => Op::Set(format!("{number} of {}", chance.below(1_000))),
                };
                (key(STREAMS[chance.index(STREAMS.len())]), op)
            })
            .collect();
        writer.lock().await.commit(ops).await;
        tokio::task::yield_now().await;
    }
}

/// Lets the log grow beyond every start.
async fn grow(writer: &Mutex<Writer>) {
    let mut writer = writer.lock().await;
    while writer.head.position.0 < LEAST_EVENTS {
        writer.set("default/filling", "up").await;
    }
}

/// Writes an end that every filter can see. Answers everything that was written.
async fn end(writer: &Mutex<Writer>) -> Vec<Recorded> {
    let mut writer = writer.lock().await;
    let all = |op: &Op| STREAMS.iter().map(|stream| (key(stream), op.clone())).collect();
    for op in [Op::Delete, Op::Restore(None), Op::Set(THE_END.to_owned())] {
        writer.commit(all(&op)).await;
    }
    writer.written.clone()
}

/// Watches to the end, from a place of the past, the present or the future, cut off every few
/// frames. Nothing is kept that was not said to be complete.
async fn follow(server: &Server, writer: &Mutex<Writer>, begun: &Semaphore, number: u64) -> Seen {
    let mut chance = Chance(1_000 + number);
    // Some come late.
    for _ in 0..chance.below(30) {
        tokio::task::yield_now().await;
    }
    let all = filters();
    let filter = chance.index(all.len());
    let (request, matches) = &all[filter];
    let ends = STREAMS.into_iter().filter(|stream| matches(&key(stream))).count();
    let head = writer.lock().await.head.position.0;
    let start = match number % 3 {
        0 => Some(Start::AfterPosition(chance.below(head + 1))),
        1 => Some(Start::AfterPosition((head + 1 + chance.below(FUTURE)).min(LEAST_EVENTS - 1))),
        _ => None,
    };
    let mut request = WatchRequest { start, ..request.clone() };
    let mut seen = Seen { filter, after: 0, cuts: 0, events: Vec::new() };
    let mut is_first = true;
    loop {
        let mut frames = server.watch(request.clone()).await.unwrap();
        let started = frames.started().await;
        if std::mem::take(&mut is_first) {
            seen.after = started.position;
            begun.add_permits(1);
        }
        let (mut token, mut pending) = (started.token, Vec::new());
        let mut left = 1 + chance.below(6);
        // Whoever always leaves within an Apply would never get through it.
        while left > 0 || !pending.is_empty() {
            left = left.saturating_sub(1);
            let (events, frame) = frames.events().await;
            assert!(matches!(frame.frame, Some(watch_response::Frame::Events(_))));
            token = frame.token;
            pending.extend(events);
            let complete =
                pending.iter().take_while(|event: &&Event| event.position <= frame.position);
            let complete = complete.count();
            seen.events.extend(pending.drain(..complete));
            if seen.events.iter().rev().take(ends).filter(|event| is_end(event)).count() == ends {
                return seen;
            }
        }
        seen.cuts += 1;
        request.start = Some(Start::AfterToken(token));
    }
}

fn is_end(event: &Event) -> bool {
    matches!(&event.change, Some(event::Change::ValueSet(set)) if set.value == THE_END)
}
