//! One request id, one outcome.

use std::sync::Arc;

use super::Factory;
use super::journal::{Journal, written};
use crate::{AppendError, EventLog};

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
        async move { log.requests(ids).await.expect("an answer") }
    };
    assert_eq!(found(&[]).await, vec![]);
    assert_eq!(found(&["none", "", "ONE", "on"]).await, vec![]);
    assert_eq!(found(&["one"]).await, of(std::slice::from_ref(&one)));
    assert!(found(&["many"]).await == of(std::slice::from_ref(&many)));
    assert!(found(&["two", "none", "one", "two", "many"]).await == of(&[one, many, two]));
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

async fn call_until_it_happened(log: &dyn EventLog, caller: usize) -> crate::StoredEvent {
    const MAX_ROUNDS: usize = 100;
    for _ in 0..MAX_ROUNDS {
        if let Some(first) = log.requests(&["the-one"]).await.expect("an answer").pop() {
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
