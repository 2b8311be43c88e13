//! One request id, one outcome.

use std::sync::Arc;

use super::Factory;
use super::journal::{Journal, written};
use crate::{AppendError, EventLog, StoredEvent};

/// A repeated id is refused with its whole batch, and its neighbours may be sent again.
pub async fn a_request_id_is_taken_once(factory: &impl Factory) {
    let log = factory.open().await;
    let known = written(&*log, |batch| batch.keyed("first", &[("a", "1"), ("b", "1")])).await;

    let again = known.batch().set("c", "1").keyed("first", &[("d", "1")]).set("e", "1");
    assert_eq!(again.append(&*log).await, Err(AppendError::RequestIdTaken));
    let twice = known.batch().keyed("second", &[("d", "1")]).keyed("second", &[("e", "1")]);
    assert_eq!(twice.append(&*log).await, Err(AppendError::RequestIdTaken));
    assert_eq!(Journal::of(&*log).await.rows, known.rows, "a refused batch left something");

    // Ids are compared byte for byte.
    written(&*log, |batch| batch.keyed("FIRST", &[("d", "1")]).keyed("first!", &[("d", "2")]))
        .await;
}

/// Looking a request up finds all of its events, and no other's.
pub async fn requests_come_back_as_whole_commands(factory: &impl Factory) {
    let log = factory.open().await;
    let sets: Vec<(String, String)> =
        (0..300).map(|i| (format!("many/{i}"), i.to_string())).collect();
    let sets: Vec<_> = sets.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let journal = written(&*log, |batch| {
        batch
            .set("a", "before")
            .keyed("one", &[("a", "1")])
            .set("a", "between")
            .keyed("many", &sets)
            .keyed("two", &[("a", "2"), ("b", "2")])
            .set("a", "after")
    })
    .await;
    let of = |ranges: &[std::ops::Range<usize>]| -> Vec<_> {
        ranges.iter().flat_map(|range| journal.rows[range.clone()].iter().cloned()).collect()
    };
    let (one, many, two) = (2..3, 4..304, 304..306);
    let found = |ids: &'static [&'static str]| {
        let log = Arc::clone(&log);
        async move { log.requests(ids, usize::MAX).await.expect("an answer").rows }
    };
    assert_eq!(found(&[]).await, vec![]);
    assert_eq!(found(&["none", "", "ONE", "on"]).await, vec![]);
    assert_eq!(found(&["one"]).await, of(std::slice::from_ref(&one)));
    assert!(found(&["many"]).await == of(std::slice::from_ref(&many)));
    assert!(found(&["two", "none", "one", "two", "many"]).await == of(&[two, one, many]));
}

/// Large commands come a few at a time, however many are asked for: each once and whole, and one at
/// least.
pub async fn requests_end_at_their_limit_and_go_on_from_there(factory: &impl Factory) {
    const LARGE_BYTES: usize = 100_000;
    let log = factory.open().await;
    let large = "x".repeat(LARGE_BYTES);
    let keys: Vec<String> = (0..9).map(|i| format!("large/{i}")).collect();
    let journal = written(&*log, |batch| {
        let batch = batch.keyed("small", &[("a", "1")]).set("a", &large);
        let batch = keys.iter().fold(batch, |batch, id| {
            batch.keyed(id, &[("b", &large), ("a", "2"), ("c", &large)]).set("a", "3")
        });
        batch.keyed("last", &[("a", "4"), ("b", "4")])
    })
    .await;
    // Not in the order in which they were written, and some of them never were.
    let mut ids = vec!["never", "last"];
    ids.extend(keys.iter().rev().map(String::as_str));
    ids.extend(["LAST", "small", "none"]);
    let command = |id: &&str| {
        let begins = |row: &StoredEvent| row.request_id.as_deref() == Some(*id);
        let first = journal.rows.iter().position(begins)?;
        let size = journal.rows[first].part.size as usize;
        Some(journal.rows[first..first + size].to_vec())
    };
    let expected: Vec<_> = ids.iter().filter_map(command).flatten().collect();
    for limit_bytes in [0, 1, 3 * LARGE_BYTES, usize::MAX] {
        let (mut rows, mut rest) = (Vec::new(), &ids[..]);
        while !rest.is_empty() {
            let found = log.requests(rest, limit_bytes).await.expect("an answer");
            let last = found.rows.iter().rposition(|row| row.part.index == 0).expect("a command");
            let bytes: usize = found.rows[..last].iter().map(StoredEvent::weight_bytes).sum();
            assert!(bytes <= limit_bytes, "{bytes} bytes and more within {limit_bytes}");
            rest = &rest[found.answered(rest)..];
            assert_eq!(found.is_cut, !rest.is_empty());
            rows.extend(found.rows);
        }
        assert!(rows == expected, "within {limit_bytes} bytes something else is found");
    }
}

/// However many callers repeat a request at once, through however many servers, it happens once.
pub async fn many_callers_with_one_request_id_leave_one_event(factory: &impl Factory) {
    const CALLERS: usize = 16;
    let logs = [factory.open().await, factory.open().await, factory.open().await];
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let log = Arc::clone(&logs[caller % logs.len()]);
        callers.spawn(async move { call_until_it_happened(&*log, caller).await });
    }
    let outcomes = callers.join_all().await;
    let journal = Journal::of(&*logs[0]).await;
    assert_eq!(journal.rows.len(), 2, "genesis, and one event");
    assert!(outcomes.iter().all(|found| *found == journal.rows[1]), "all got the one outcome");
}

async fn found(log: &dyn EventLog) -> Option<StoredEvent> {
    log.requests(&["the-one"], usize::MAX).await.expect("an answer").rows.pop()
}

async fn call_until_it_happened(log: &dyn EventLog, caller: usize) -> StoredEvent {
    const MAX_ROUNDS: usize = 100;
    for _ in 0..MAX_ROUNDS {
        if let Some(first) = found(log).await {
            return first;
        }
        let journal = Journal::of(log).await;
        let batch = journal.batch().keyed("the-one", &[("a", &caller.to_string())]);
        match batch.append(log).await {
            Ok(())
            | Err(
                AppendError::HeadMoved | AppendError::RequestIdTaken | AppendError::Unavailable(_),
            ) => {}
            Err(other) => panic!("caller {caller}: {other}"),
        }
    }
    panic!("caller {caller} never got an outcome")
}
