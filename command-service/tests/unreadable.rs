//! Events that this program cannot read, because a newer one wrote them: whoever has to do with them is
//! refused, and nobody else.

use std::sync::Arc;

use configapi_command_service::committer::{
    Committer, CommitterMetrics, Limits, Refusal, Submission, WishedAction,
};
use configapi_domain::{Point, Position, Version};
use configapi_event_log::{EventLog as _, MemoryLog, StoredEvent, seal};

use crate::ahead::{Stage, keyed, set};
use crate::support::{TestClock, memory_log, rows};

/// What becomes of a keyed set of `x` in an empty log.
async fn keyed_row() -> StoredEvent {
    let log = memory_log();
    let clock = Arc::<TestClock>::default();
    let metrics = CommitterMetrics::unregistered();
    let committer = Committer::new(log.clone(), clock, Limits::default(), metrics);
    tokio::spawn(committer.worker.run());
    committer.queue.submit(keyed(set("x", None))).await.unwrap();
    rows(&*log).await.pop().unwrap()
}

/// Appends a row after what is there.
async fn append(log: &MemoryLog, mut row: StoredEvent) {
    let head = log.head().await.unwrap();
    row.position = head.position.next();
    seal(head.hash, &mut row);
    log.append(&head, &[row]).await.unwrap();
}

fn unreadable(row: StoredEvent) -> StoredEvent {
    StoredEvent { event_type: "ConfigForeseen".into(), ..row }
}

#[tokio::test]
async fn a_repeat_of_what_cannot_be_read_is_refused_alone() {
    let log = memory_log();
    append(&log, unreadable(keyed_row().await)).await;
    let stage = Stage::on(log).await;
    let conflict = keyed(set("y", Some(7)));
    for repeat in [keyed(set("y", None)), conflict] {
        let answers = stage.behind_a_commit(vec![set("b", None), repeat, set("c", None)]).await;
        let accepted: Vec<_> = answers.iter().map(Result::is_ok).collect();
        assert_eq!(accepted, [true, true, false, true], "{answers:?}");
        let Err(Refusal::Broken(why)) = &answers[2] else { panic!("{answers:?}") };
        assert!(why.contains("ConfigForeseen"), "{why}");
    }
}

#[tokio::test]
async fn a_repeat_gets_the_first_receipt_though_its_config_cannot_be_read_by_now() {
    let log = memory_log();
    let row = keyed_row().await;
    append(&log, row.clone()).await;
    append(&log, unreadable(StoredEvent { version: Version(2), request_id: None, ..row })).await;
    let stage = Stage::on(log).await;
    let answers = stage.behind_a_commit(vec![keyed(set("x", None)), set("x", None)]).await;
    let receipts = answers[1].as_ref().unwrap();
    assert_eq!(receipts[0].version, Version(1));
    assert_eq!(receipts[0].written.unwrap().position, Position(1));
    assert!(matches!(answers[2], Err(Refusal::Broken(_))), "{answers:?}");
}

fn restore_to(point: Point) -> Submission {
    let mut submission = set("x", None);
    submission.wishes[0].action = WishedAction::Restore(Some(point));
    submission
}

#[tokio::test]
async fn a_restore_of_what_cannot_be_read_is_refused_alone() {
    let log = memory_log();
    let row = StoredEvent { request_id: None, ..keyed_row().await };
    append(&log, row.clone()).await;
    append(&log, unreadable(StoredEvent { version: Version(2), ..row.clone() })).await;
    append(&log, StoredEvent { version: Version(3), ..row }).await;
    let stage = Stage::on(log).await;
    let others = vec![
        set("x", Some(3)),
        restore_to(Point::Version(Version(2))),
        restore_to(Point::Position(Position(2))),
        restore_to(Point::Version(Version(1))),
        set("x", Some(5)),
    ];
    let answers = stage.behind_a_commit(others).await;
    let accepted: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, true, false, false, true, true], "{answers:?}");
    for answer in &answers[2..4] {
        assert!(matches!(answer, Err(Refusal::Broken(_))), "{answer:?}");
    }
}
