//! Many writers: who wins, who waits, and what is left when a call is dropped in the middle.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Factory;
use super::journal::{Batch, Dice, Journal, written};
use crate::{AppendError, EventLog, StoredEvent};

/// So long no step of a test may take, however slow the machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Compare-and-append has one winner per head.
pub async fn of_many_writers_with_one_anchor_exactly_one_wins(factory: &impl Factory) {
    const WRITERS: usize = 8;
    let logs = [factory.open().await, factory.open().await];
    let mut journal = Journal::of(&*logs[0]).await;
    for round in 0..10 {
        let mut race = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let log = Arc::clone(&logs[writer % logs.len()]);
            let batch = journal.batch().set(&format!("writer/{writer}"), "mine").set("all", "ours");
            race.spawn(async move { (batch.append(&*log).await, batch) });
        }
        let outcomes = race.join_all().await;
        let winners: Vec<_> =
            outcomes.iter().filter(|(outcome, _)| outcome.is_ok()).map(|(_, b)| b).collect();
        assert_eq!(winners.len(), 1, "winners of round {round}");
        for (outcome, _) in &outcomes {
            assert!(matches!(outcome, Ok(()) | Err(AppendError::HeadMoved)), "{outcome:?}");
        }
        journal.read_on(&*logs[1]).await;
        assert_eq!(journal.head(), winners[0].end, "the winner's batch is what was written");
    }
}

/// A writer of the suite: it reads on, decides and appends, and takes a turn when it lost.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) journal: Journal,
}

impl Writer {
    pub(super) async fn on(log: Arc<dyn EventLog>) -> Self {
        let journal = Journal::of(&*log).await;
        Self { log, journal }
    }

    /// Writes what `make` decides, and answers it as written.
    pub(super) async fn write(&mut self, make: impl Fn(Batch) -> Batch) -> Vec<StoredEvent> {
        const MAX_ROUNDS: usize = 10;
        self.journal.read_on(&*self.log).await;
        let batch = make(self.journal.batch());
        match batch.append(&*self.log).await {
            Ok(()) => return batch.rows,
            Err(AppendError::HeadMoved | AppendError::Unavailable(_)) => {}
            Err(other) => panic!("an append failed: {other}"),
        }
        for _ in 0..MAX_ROUNDS {
            let Ok(mut turn) = self.log.take_turn().await else { continue };
            self.journal.read_on_in(&mut *turn).await;
            let batch = make(self.journal.batch());
            match turn.append(&batch.head, &batch.rows).await {
                Ok(()) => return batch.rows,
                Err(AppendError::Unavailable(_)) => {}
                Err(other) => panic!("an append in its turn failed: {other}"),
            }
        }
        panic!("a writer starved")
    }
}

/// Losers take turns, so everybody finishes, and all that was acknowledged is there once.
pub async fn many_writers_all_finish_and_the_log_is_dense(factory: &impl Factory) {
    const WRITERS: usize = 6;
    const ROUNDS: usize = 25;
    let logs = [factory.open().await, factory.open().await, factory.open().await];
    let mut race = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let log = Arc::clone(&logs[writer % logs.len()]);
        race.spawn(async move {
            let mut desk = Writer::on(log).await;
            let mut written = Vec::new();
            for round in 0..ROUNDS {
                let value = format!("{writer}/{round}");
                let made = desk.write(|batch| batch.set("hot", &value).large(&value, 2)).await;
                written.extend(made);
            }
            written
        });
    }
    let all = tokio::time::timeout(PATIENCE, race.join_all()).await.expect("all writers finish");
    let mut acknowledged: Vec<_> = all.into_iter().flatten().collect();
    acknowledged.sort_by_key(|row| row.position);
    let journal = Journal::of(&*logs[0]).await;
    assert_eq!(journal.rows.len(), 1 + WRITERS * ROUNDS * 3);
    assert!(journal.rows[1..] == acknowledged[..], "the log is what was acknowledged");
}

/// Whoever appends meanwhile, through whichever instance, comes after the turn.
pub async fn nobody_can_pass_a_writer_that_has_its_turn(factory: &impl Factory) {
    let (patient, hasty) = (factory.open().await, factory.open().await);
    let mut journal = Journal::of(&*patient).await;
    for log in [Arc::clone(&patient), hasty] {
        let mut turn = patient.take_turn().await.expect("a turn");
        let rival = journal.batch().set("rival", "me first");
        let rival = tokio::spawn(async move { (rival.append(&*log).await, log) });
        // The rival is given every chance to pass before the turn is used.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        journal.read_on_in(&mut *turn).await;
        let batch = journal.batch().set("patient", "my turn");
        turn.append(&batch.head, &batch.rows).await.expect("nobody can pass");
        let (outcome, log) = rival.await.expect("the rival ends");
        let is_late = matches!(outcome, Err(AppendError::HeadMoved | AppendError::Unavailable(_)));
        assert!(is_late, "the rival should be late: {outcome:?}");
        journal.read_on(&*log).await;
        assert_eq!(journal.head(), batch.end);
    }
}

/// A turn is between writers: who reads meanwhile reads the log as it was before the turn.
pub async fn a_turn_keeps_no_reader_waiting(factory: &impl Factory) {
    let (writer, reader) = (factory.open().await, factory.open().await);
    let before = written(&*writer, |batch| batch.set("a", "1")).await;
    let mut turn = writer.take_turn().await.expect("a turn");
    let seen = Journal::of(&*writer).await;
    assert_eq!(Journal::of(&*reader).await.rows, before.rows);
    assert_eq!(writer.newest(&["default/a"], 1).await.expect("an answer").rows, before.rows[1..]);
    let mut mine = seen.clone();
    mine.read_on_in(&mut *turn).await;
    let batch = mine.batch().set("a", "2");
    turn.append(&batch.head, &batch.rows).await.expect("nobody can pass");
    assert_eq!(Journal::of(&*reader).await.head(), batch.end);
}

/// A turn that nobody uses blocks nobody.
pub async fn a_turn_that_is_dropped_is_given_back_and_leaves_nothing(factory: &impl Factory) {
    let (first, second) = (factory.open().await, factory.open().await);
    for _ in 0..5 {
        let mut turn = first.take_turn().await.expect("a turn");
        Journal::of(&*second).await.read_on_in(&mut *turn).await;
        drop(turn);
        drop(first.take_turn().await.expect("another turn"));
        let free = tokio::time::timeout(PATIENCE, async {
            Writer::on(Arc::clone(&second)).await.write(|batch| batch.set("a", "1")).await;
            Writer::on(Arc::clone(&first)).await.write(|batch| batch.set("a", "2")).await;
        });
        free.await.expect("the turn was given back");
    }
    assert_eq!(Journal::of(&*first).await.rows.len(), 11);
}

/// Dropped wherever it stands, an append is there whole or not at all, and the next one works.
pub async fn an_append_that_is_dropped_leaves_the_log_whole(factory: &impl Factory) {
    let (log, other) = (factory.open().await, factory.open().await);
    let mut dice = Dice::new(1);
    let mut tried = HashSet::new();
    for round in 0..60 {
        let journal = Journal::of(&*log).await;
        let batch = journal.batch().large(&format!("dropped/{round}"), 100);
        tried.extend(batch.rows.iter().map(|row| row.hash));
        let after = Duration::from_micros(dice.below(3_000));
        // Whether it is written or not is unknown, and both are right.
        let _ = tokio::time::timeout(after, batch.append(&*log)).await;
        if round % 5 == 4 {
            let writer = if round % 2 == 0 { &log } else { &other };
            let mut writer = Writer::on(Arc::clone(writer)).await;
            let made = writer.write(|batch| batch.set("kept", &round.to_string())).await;
            tried.extend(made.iter().map(|row| row.hash));
        }
    }
    // The last dropped append may still be on its way; a turn comes after it.
    drop(log.take_turn().await.expect("a turn"));
    written(&*log, |batch| batch.set("last", "1")).await;
    let journal = Journal::of(&*other).await;
    let kept = journal.rows.iter().filter(|row| &*row.stream == "default/kept").count();
    assert_eq!(kept, 12);
    assert_eq!((journal.rows.len() - 1 - kept - 1) % 100, 0, "a batch is whole or not there");
    let asked_for = |row: &StoredEvent| tried.contains(&row.hash) || &*row.stream == "default/last";
    assert!(journal.rows[1..].iter().all(asked_for), "nobody asked for an event in the log");
}
