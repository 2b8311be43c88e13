//! Readers that wait for what comes, and miss none of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use configapi_domain::Position;

use super::Factory;
use super::journal::{Dice, Journal, written};
use super::racing::Writer;
use crate::{EventLog, StoredEvent};

/// Longer than any test waits: a wait that lasts so long was not woken.
const FOREVER: Duration = Duration::from_mins(10);
/// A wake-up is prompt if it comes within this time on the slowest machine.
const PROMPT: Duration = Duration::from_secs(5);

/// There is nothing to wait for if it is there already.
pub async fn waiting_ends_at_once_if_the_log_has_grown_already(factory: &impl Factory) {
    let (writer, reader) = (factory.open().await, factory.open().await);
    let journal = written(&*writer, |batch| batch.set("a", "1").set("a", "2")).await;
    for log in [&writer, &reader] {
        for beyond in [Position::GENESIS, Position(journal.position().0 - 1)] {
            let wait = log.grown(beyond, FOREVER);
            tokio::time::timeout(PROMPT, wait).await.expect("the log has grown already");
        }
    }
}

/// Nobody waits longer than they said.
pub async fn waiting_ends_when_patience_does(factory: &impl Factory) {
    let log = factory.open().await;
    for patience in [Duration::ZERO, Duration::from_millis(20)] {
        let begun = Instant::now();
        let wait = log.grown(Position(1_000), patience);
        tokio::time::timeout(PROMPT, wait).await.expect("patience ended");
        assert!(begun.elapsed() >= patience, "a wait with nothing to say ends early");
    }
}

/// Who has all of the log waits for more, wait after wait, and is not kept busy. A wait may end
/// early for no reason, but not every one.
pub async fn waiting_at_the_end_of_the_log_is_no_work(factory: &impl Factory) {
    const WAITS: u32 = 10;
    let patience = Duration::from_millis(20);
    let log = factory.open().await;
    let journal = written(&*log, |batch| batch.set("a", "1")).await;
    let begun = Instant::now();
    for _ in 0..WAITS {
        log.grown(journal.position(), patience).await;
    }
    assert!(begun.elapsed() >= patience * (WAITS / 2), "waits that nobody ended were over early");
}

/// One wait after the other, until the log is known to have grown.
async fn until_grown(log: Arc<dyn EventLog>, beyond: Position) {
    while log.head().await.expect("the head").position <= beyond {
        log.grown(beyond, FOREVER).await;
    }
}

/// A reader hears of an append soon, whichever instance made it.
pub async fn waiting_ends_soon_after_another_instance_appends(factory: &impl Factory) {
    let (writer, reader) = (factory.open().await, factory.open().await);
    let mut journal = Journal::of(&*writer).await;
    for _ in 0..20 {
        let beyond = journal.position();
        let waits: Vec<_> = [&writer, &reader, &reader]
            .map(|log| tokio::spawn(until_grown(Arc::clone(log), beyond)))
            .into();
        tokio::task::yield_now().await;
        journal.batch().set("a", "1").append(&*writer).await.expect("the only writer");
        for wait in waits {
            tokio::time::timeout(PROMPT, wait).await.expect("woken soon").expect("a wait");
        }
        journal.read_on(&*reader).await;
    }
}

/// Waits come and go; each stands for itself.
pub async fn a_wait_that_is_dropped_harms_no_other_wait(factory: &impl Factory) {
    let (writer, reader) = (factory.open().await, factory.open().await);
    let journal = Journal::of(&*writer).await;
    let beyond = journal.position();
    let stays = tokio::spawn(until_grown(Arc::clone(&reader), beyond));
    for micros in (0..50).map(|step| step * 100) {
        let goes = reader.grown(beyond, FOREVER);
        let _ = tokio::time::timeout(Duration::from_micros(micros), goes).await;
    }
    journal.batch().set("a", "1").append(&*writer).await.expect("the only writer");
    tokio::time::timeout(PROMPT, stays).await.expect("woken soon").expect("a wait");
    let late = reader.grown(beyond, FOREVER);
    tokio::time::timeout(PROMPT, late).await.expect("a wait after that works as well");
}

/// The heart of it: what six busy writers commit late, drop or roll back, a follower reads exactly
/// as the log holds it: none missing, none twice, none that is not there in the end.
pub async fn a_follower_beside_busy_writers_misses_nothing(factory: &impl Factory) {
    const WRITERS: u64 = 6;
    const ROUNDS: u64 = 30;
    let logs = [factory.open().await, factory.open().await];
    let done = Arc::new(AtomicBool::new(false));
    let followers: Vec<_> = [factory.open().await, Arc::clone(&logs[0])]
        .map(|log| tokio::spawn(follow(log, Arc::clone(&done))))
        .into();

    let mut writers = tokio::task::JoinSet::new();
    for (writer, log) in (0..WRITERS).zip(logs.iter().cycle()) {
        writers.spawn(write_unsteadily(Arc::clone(log), writer, ROUNDS));
    }
    let acknowledged: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    // Appends that were dropped may still be on their way; a turn comes after them.
    for log in &logs {
        drop(log.take_turn().await.expect("a turn"));
    }
    written(&*logs[0], |batch| batch.set("the-end", "1")).await;
    done.store(true, Ordering::Release);

    let log = Journal::of(&*logs[1]).await;
    assert!(acknowledged.iter().all(|row| log.rows.get(at(row)) == Some(row)), "a write is lost");
    for follower in followers {
        let journal = follower.await.expect("a follower");
        assert!(journal.rows == log.rows, "a follower saw another log");
    }
}

fn at(row: &StoredEvent) -> usize {
    usize::try_from(row.position.0).expect("a small log")
}

/// Follows by the rules of `Tail` (the journal checks them) until the last event of the test.
async fn follow(log: Arc<dyn EventLog>, done: Arc<AtomicBool>) -> Journal {
    let mut journal = Journal::of(&*log).await;
    loop {
        let is_last_look = done.load(Ordering::Acquire);
        journal.read_on(&*log).await;
        if is_last_look {
            return journal;
        }
        log.grown(journal.position(), Duration::from_millis(50)).await;
    }
}

/// Writes with pauses within turns, turns not used, and appends dropped in the middle.
async fn write_unsteadily(log: Arc<dyn EventLog>, writer: u64, rounds: u64) -> Vec<StoredEvent> {
    let mut dice = Dice::new(writer + 1);
    let mut desk = Writer::on(log).await;
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let name = format!("writer/{writer}/{round}");
        tokio::time::sleep(Duration::from_micros(dice.below(2_000))).await;
        match dice.below(4) {
            0 => {
                let size = usize::try_from(dice.below(50)).expect("a small number") + 1;
                let batch = desk.journal.batch().large(&name, size).set("hot", &name);
                let after = Duration::from_micros(dice.below(2_000));
                let _ = tokio::time::timeout(after, batch.append(&*desk.log)).await;
            }
            1 => {
                let Ok(mut turn) = desk.log.take_turn().await else { continue };
                desk.journal.read_on_in(&mut *turn).await;
                tokio::time::sleep(Duration::from_micros(dice.below(2_000))).await;
                if dice.below(2) == 0 {
                    let batch = desk.journal.batch().large(&name, 3).set("hot", &name);
                    turn.append(&batch.head, &batch.rows).await.expect("nobody can pass");
                    acknowledged.extend(batch.rows);
                }
            }
            _ => acknowledged
                .extend(desk.write(|batch| batch.set(&name, "1").set("hot", &name)).await),
        }
    }
    acknowledged
}
