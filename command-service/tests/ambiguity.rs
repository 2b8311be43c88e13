//! The store does not say whether it wrote: then the server finds out, or says that it does not
//! know; and it heals without a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use configapi_command_service::committer::{
    Committer, CommitterMetrics, Limits, Refusal, Submission,
};
use configapi_domain::Timestamp;
use configapi_event_log::{EventLog, LogId, MemoryLog};
use configapi_proto::v1::restore_target::Moment;
use configapi_proto::v1::{RestoreRequest, RestoreTarget, SetRequest};
use configapi_proto::{Reason, key};
use futures_util::future::join_all;

use crate::ahead::{Stage, keyed, set};
use crate::faulty_log::{Fault, FaultyLog};
use crate::support::{
    BEGINNING, TestClock, TestServer, copy_of, memory_log, refusal, rows, set_request, start_on,
};

async fn start_faulty(limits: Limits) -> (TestServer, Arc<FaultyLog>) {
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), limits).await;
    server.set("warm-up", "1").await.unwrap();
    (server, log)
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found() {
    let (server, log) = start_faulty(Limits::default()).await;
    log.fail_next([Fault::LostAfter]);
    assert_eq!(server.set("a", "1").await.unwrap().position, 2);
    assert_eq!(server.set("a", "2").await.unwrap().position, 3);
    assert_eq!(server.events().await.len(), 3);
}

#[tokio::test]
async fn a_commit_that_never_happened_is_made_up_for() {
    let (server, log) = start_faulty(Limits::default()).await;
    log.fail_next([Fault::LostBefore, Fault::LostBefore, Fault::LostAfter]);
    assert_eq!(server.set("a", "1").await.unwrap().position, 2);
    assert_eq!(server.events().await.len(), 2);
}

/// Another server wrote where it would be, which is an answer: there is nothing to wait for.
#[tokio::test]
async fn a_commit_that_never_happened_because_another_was_faster_is_made_up_for() {
    let (server, log) = start_faulty(Limits::default()).await;
    let other = start_on(log.inner(), Limits::default()).await;
    log.fail_next([Fault::LostBefore]);
    log.close_gate().await;
    let mut client = server.client.clone();
    let call = tokio::spawn(async move { client.set(set_request("a", "1")).await });
    log.append_waits().await;
    other.set("b", "1").await.unwrap();
    log.open_gate();
    let receipt = call.await.unwrap().unwrap().into_inner().receipt.unwrap();
    assert_eq!(receipt.position, 3);
    assert_eq!(server.events().await.len(), 3);
}

#[tokio::test]
async fn a_store_that_stays_silent_leaves_the_outcome_unknown_and_says_so() {
    let limits = Limits { resolve_for: Duration::from_millis(50), ..Limits::default() };
    let (server, log) = start_faulty(limits).await;
    log.fail_next([Fault::LostAfter]);
    log.close_gate().await;
    let keyed = SetRequest { request_id: "one".to_owned(), ..set_request("a", "1") };
    let call = tokio::spawn({
        let (mut client, keyed) = (server.client.clone(), keyed.clone());
        async move { client.set(keyed).await }
    });
    // The append is under way when the store falls silent for longer than the server asks.
    log.append_waits().await;
    log.fall_silent_after_append();
    log.open_gate();
    let error = refusal(call.await.unwrap());
    assert_eq!(error.reason, Reason::OutcomeUnknown);
    assert_eq!(error.metadata[key::REQUEST_ID], "one");
    log.set_down(false);
    let receipt = server.set_with(keyed.clone()).await.unwrap();
    assert_eq!(server.set_with(keyed).await.unwrap(), receipt);
    let events = server.events().await;
    assert_eq!(events.iter().filter(|event| event.key.name() == "a").count(), 1);
}

/// The log is another one by the time that it is asked what became of them.
#[tokio::test]
async fn of_commands_whose_commit_is_not_known_those_that_were_not_sent_are_not_in_doubt() {
    let stage = Stage::new().await;
    let validated = Submission { validate_only: true, ..set("b", None) };
    let broken = set("c", Some(7));
    let others = vec![set("d", None), validated, broken, keyed(set("e", None))];
    let repeat = keyed(set("e", None));
    let others = others.into_iter().chain([repeat]).collect();
    let calls = stage.decide_behind_a_commit(others).await;
    stage.log.let_one_through();
    stage.log.append_waits().await;
    stage.log.fail_next([Fault::LostAfter]);
    stage.log.replace_by(memory_log());
    stage.log.open_gate();

    let answers = join_all(calls).await;
    assert!(answers[0].is_ok(), "{answers:?}");
    let is_unknown = |answer: &_| matches!(answer, Err(Refusal::OutcomeUnknown));
    let unknown: Vec<_> = answers[1..].iter().map(is_unknown).collect();
    assert_eq!(unknown, [true, false, false, true, true], "{answers:?}");
    for answer in &answers[2..=3] {
        assert!(matches!(answer, Err(Refusal::Unavailable(_))), "{answer:?}");
    }
}

/// Its neighbour gave up when both were about to be sent, so that all was decided once more.
#[tokio::test]
async fn a_command_that_was_about_to_be_sent_and_was_not_is_not_in_doubt() {
    let log = FaultyLog::new(memory_log());
    // It remembers one config only, and looks the others up each time.
    let limits = Limits { cache_bytes: 0, ..Limits::default() };
    let clock = Arc::<TestClock>::default();
    let metrics = CommitterMetrics::unregistered();
    let Committer { queue, worker, .. } = Committer::new(log.clone(), clock, limits, metrics);
    tokio::spawn(worker.run());
    let submit = |submission: Submission| {
        let queue = queue.clone();
        tokio::spawn(async move { queue.submit(submission).await })
    };
    let until = |wait_ms| Some(Instant::now() + Duration::from_millis(wait_ms));
    log.close_gate().await;
    let first = submit(set("first", None));
    log.append_waits().await;
    log.looked_up().await;
    let waits = submit(Submission { deadline: until(1_000), ..set("a", None) });
    let gives_up = submit(Submission { deadline: until(100), ..set("b", None) });
    assert_eq!(gives_up.await.unwrap(), Err(Refusal::DeadlineExceeded));
    log.looked_up().await;
    log.hold_look_ups().await;
    log.open_gate();
    first.await.unwrap().unwrap();
    assert_eq!(waits.await.unwrap(), Err(Refusal::DeadlineExceeded));
    log.let_look_ups_go();
    submit(set("last", None)).await.unwrap().unwrap();
    let written: Vec<_> = rows(&*log).await.into_iter().map(|row| row.stream).collect();
    assert_eq!(written, ["default/first".into(), "default/last".into()]);
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_refuses_now_and_heals_by_itself() {
    let (server, log) = start_faulty(Limits::default()).await;
    log.set_down(true);
    log.fail_next([Fault::Unavailable]);
    let error = server.set("a", "1").await.unwrap_err();
    assert_eq!(error.reason, Reason::Unavailable);
    assert!(error.message.contains("nothing was written"), "{}", error.message);
    log.set_down(false);
    log.fail_next([]);
    // The fault that was queued for the append is used up by the first one that gets through.
    let _ = server.set("a", "1").await;
    assert!(server.set("a", "2").await.is_ok());
}

#[tokio::test]
async fn a_new_epoch_is_noticed_and_stands_in_the_token() {
    let (server, log) = start_faulty(Limits::default()).await;
    let head = log.head().await.unwrap();
    log.begin_epoch(&head).await.unwrap();
    assert_eq!(server.set("a", "1").await.unwrap().token, "2-2");
    assert_eq!(server.set("a", "2").await.unwrap().version, 2);
}

#[tokio::test]
async fn a_log_that_lost_its_tail_is_not_written_until_a_new_epoch_says_so() {
    let (server, log) = start_faulty(Limits::default()).await;
    let before = memory_log();
    log.replace_by(before.clone());
    let error = server.set("a", "1").await.unwrap_err();
    assert_eq!(error.reason, Reason::LogChanged);
    assert!(
        error.message.ends_with("an operator brings the log back or begins a new epoch"),
        "{error}"
    );
    assert_eq!(error.precondition_violations[0].subject, "log");
    assert_eq!(server.set("a", "1").await.unwrap_err().reason, Reason::LogChanged);
    assert!(rows(&*log).await.is_empty());
    let head = before.head().await.unwrap();
    before.begin_epoch(&head).await.unwrap();
    assert_eq!(server.set("a", "1").await.unwrap().token, "2-1");
}

#[tokio::test]
async fn a_log_that_is_brought_back_is_written_again() {
    let (server, log) = start_faulty(Limits::default()).await;
    let whole = log.inner();
    let before = copy_of(&*whole).await;
    server.set("a", "1").await.unwrap();
    log.replace_by(before.clone());
    assert_eq!(server.set("a", "2").await.unwrap_err().reason, Reason::LogChanged);
    // What somebody else writes in the place of what was lost does not bring it back.
    let other = start_on(before, Limits::default()).await;
    other.set("a", "other").await.unwrap();
    assert_eq!(server.set("a", "2").await.unwrap_err().reason, Reason::LogChanged);
    log.replace_by(whole);
    assert_eq!(server.set("a", "2").await.unwrap().version, 2);
}

#[tokio::test]
async fn another_log_is_not_written_whatever_it_holds() {
    let (server, log) = start_faulty(Limits::default()).await;
    let ours = log.inner();
    server.set("a", "1").await.unwrap();
    let id = LogId(uuid::Uuid::from_u128(7));
    let others = Arc::new(MemoryLog::new(id, Timestamp(BEGINNING)));
    let other = start_on(others.clone(), Limits::default()).await;
    for _ in 0..3 {
        other.set("a", "other").await.unwrap();
    }
    others.begin_epoch(&others.head().await.unwrap()).await.unwrap();
    log.replace_by(others);
    for _ in 0..2 {
        let error = server.set("a", "2").await.unwrap_err();
        assert_eq!(error.reason, Reason::LogChanged);
        assert!(error.message.contains(&id.to_string()), "{error}");
        assert!(!error.message.contains("epoch"), "{error}");
        assert_eq!(error.precondition_violations[0].subject, "store");
    }
    assert_eq!(rows(&*log).await.len(), 3);
    log.replace_by(ours);
    assert_eq!(server.set("a", "2").await.unwrap().version, 2);
}

#[tokio::test]
async fn what_was_known_of_a_lost_tail_is_not_decided_on() {
    let (server, log) = start_faulty(Limits::default()).await;
    server.set("a", "1").await.unwrap();
    let before = copy_of(&*log).await;
    server.set("a", "2").await.unwrap();
    assert_eq!(server.set("a", "3").await.unwrap().version, 3);
    log.replace_by(before.clone());
    assert_eq!(server.set("b", "1").await.unwrap_err().reason, Reason::LogChanged);
    let head = before.head().await.unwrap();
    before.begin_epoch(&head).await.unwrap();
    let next = SetRequest { expected_version: Some(1), ..set_request("a", "2 again") };
    assert_eq!(server.set_with(next).await.unwrap().version, 2);
}

/// Nobody looks at the log but for the commands.
fn unprobed() -> Limits {
    Limits { probe_every: Duration::from_hours(1), ..Limits::default() }
}

/// Holds back what is looked up next, and takes the log that holds less in the place of this one.
async fn fail_over_within_a_look_up(log: &FaultyLog, survivor: Arc<MemoryLog>) {
    log.looked_up().await;
    log.replace_by(survivor);
    log.let_look_ups_go();
}

/// Another server wrote it after the head that is known here, which is not lost.
#[tokio::test]
async fn what_was_looked_up_in_a_lost_tail_is_not_decided_on() {
    let (server, log) = start_faulty(unprobed()).await;
    log.looked_up().await;
    let survivor = copy_of(&*log).await;
    survivor.begin_epoch(&survivor.head().await.unwrap()).await.unwrap();
    let other = start_on(log.inner(), Limits::default()).await;
    other.set("a", "lost").await.unwrap();

    log.hold_look_ups().await;
    let (receipt, ()) =
        tokio::join!(server.set("a", "1"), fail_over_within_a_look_up(&log, survivor));
    assert_eq!(receipt.unwrap().version, 1);
    assert_eq!(rows(&*log).await.len(), 2);
}

#[tokio::test]
async fn what_a_config_was_in_a_lost_tail_is_not_restored() {
    let (server, log) = start_faulty(unprobed()).await;
    let other = start_on(log.inner(), Limits::default()).await;
    server.set("a", "1").await.unwrap();
    other.set("a", "2").await.unwrap();
    // It finds out that it is not the only writer, and takes turns from now on.
    server.set("b", "1").await.unwrap();
    let survivor = copy_of(&*log).await;
    survivor.begin_epoch(&survivor.head().await.unwrap()).await.unwrap();
    start_on(survivor.clone(), Limits::default()).await.set("c", "1").await.unwrap();
    other.set("a", "lost").await.unwrap();

    for _ in log.look_ups() {
        log.looked_up().await;
    }
    log.hold_look_ups().await;
    let target = Some(RestoreTarget { moment: Some(Moment::Version(3)) });
    let restore = RestoreRequest { name: "a".to_owned(), target, ..RestoreRequest::default() };
    let mut client = server.client.clone();
    let (answer, ()) =
        tokio::join!(client.restore(restore), fail_over_within_a_look_up(&log, survivor));
    assert_eq!(refusal(answer).reason, Reason::RestoreRefused);
    assert_eq!(rows(&*log).await.len(), 5);
}
