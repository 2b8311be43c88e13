//! A reader beside the writer is told what was appended without a look into the file. What it is told
//! is what it would find there.

use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::Position;
use configapi_event_log::{EventLog, Hash, Page, PageLimit, StoredEvent};

use crate::suite::InFile;
use crate::writing::events;

async fn followed(file: &InFile) -> Arc<dyn EventLog> {
    let log = file.open().await;
    log.grown(Position::GENESIS, Duration::ZERO).await;
    log
}

/// Appends so many events at the head.
async fn append(log: &Arc<dyn EventLog>, count: u64) -> Vec<StoredEvent> {
    let head = log.head().await.unwrap();
    let rows = events(&head, count);
    log.append(&head, &rows).await.unwrap();
    rows
}

/// With two events, appended one by one, and the first of them.
async fn followed_with_two(file: &InFile) -> (Arc<dyn EventLog>, StoredEvent) {
    let log = followed(file).await;
    let first = append(&log, 1).await.remove(0);
    append(&log, 1).await;
    (log, first)
}

fn at_hand_after(log: &Arc<dyn EventLog>, row: &StoredEvent) -> Option<Page> {
    log.at_hand(row.position, row.hash, PageLimit::TAIL)
}

/// Reads on from the last row of `known`, as who follows a log does; how many rows were at hand.
async fn read_on(log: &Arc<dyn EventLog>, known: &mut Vec<StoredEvent>) -> usize {
    let mut at_hand = 0;
    loop {
        let anchor = known.last().unwrap().clone();
        let told = at_hand_after(log, &anchor);
        let was_at_hand = told.is_some();
        let page = match told {
            Some(page) => page,
            None => log.read(anchor.position, PageLimit::TAIL).await.unwrap(),
        };
        let (first, rest) = page.events.split_first().unwrap();
        assert_eq!(*first, anchor);
        if rest.is_empty() {
            assert!(!was_at_hand);
            return at_hand;
        }
        at_hand += if was_at_hand { rest.len() } else { 0 };
        known.extend_from_slice(rest);
    }
}

#[tokio::test]
async fn a_follower_is_told_what_is_in_the_file_whoever_wrote_it() {
    let file = InFile::fresh().await;
    let (log, other) = (followed(&file).await, file.open().await);
    let mut known = log.read(Position::GENESIS, PageLimit::TAIL).await.unwrap().events;
    // The first lacks the row before it, and so does the one after another writer's; the last is
    // more than is kept.
    for (by_other, count, at_hand) in [
        (false, 1, 0),
        (false, 300, 300),
        (true, 2, 0),
        (false, 1, 0),
        (false, 1, 1),
        (true, 1, 0),
        (false, 10_000, 0),
    ] {
        append(if by_other { &other } else { &log }, count).await;
        assert_eq!(read_on(&log, &mut known).await, at_hand, "{count}");
        let all = other.read(Position::GENESIS, PageLimit::new(20_000, 1 << 30)).await.unwrap();
        assert_eq!(known, all.events);
    }
}

#[tokio::test]
async fn nothing_is_kept_for_nobody() {
    let file = InFile::fresh().await;
    let log = file.open().await;
    let first = append(&log, 1).await.remove(0);
    append(&log, 1).await;
    assert!(at_hand_after(&log, &first).is_none());
}

#[tokio::test]
async fn who_stands_on_another_event_is_sent_to_the_file() {
    let file = InFile::fresh().await;
    let (log, first) = followed_with_two(&file).await;
    assert!(at_hand_after(&log, &first).is_some());
    assert!(at_hand_after(&log, &StoredEvent { hash: Hash::ZERO, ..first }).is_none());
}

#[tokio::test]
async fn a_new_epoch_is_not_told_of_as_the_one_before() {
    let file = InFile::fresh().await;
    let (log, first) = followed_with_two(&file).await;
    let told = at_hand_after(&log, &first).unwrap();
    assert_eq!(told, log.read(first.position, PageLimit::TAIL).await.unwrap());
    log.begin_epoch(&log.head().await.unwrap()).await.unwrap();
    assert!(at_hand_after(&log, &first).is_none());
}
