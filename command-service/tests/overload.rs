//! Overload and impatience: what cannot be taken on is refused at once, and what nobody waits for
//! any more is not written.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use configapi_command_service::committer::{
    CommitQueue, Committer, CommitterMetrics, Limits, Refusal, Submission, Wish, WishedAction,
};
use configapi_domain::{ConfigKey, Content, Provenance, Value, Version};
use configapi_proto::{ApiError, Reason};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::poll;
use futures_util::stream::FuturesUnordered;
use tonic::Request;

use crate::ahead::{Stage, keyed};
use crate::faulty_log::FaultyLog;
use crate::support::{TestClock, memory_log, reason, rows, set_request, start_on};

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_recovers() {
    let limits = Limits { queue_submissions: 4, ..Limits::default() };
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), limits).await;
    server.set("warm-up", "1").await.unwrap();
    log.close_gate().await;
    let mut calls: FuturesUnordered<_> = (0..20)
        .map(|i| {
            let mut client = server.client.clone();
            async move { client.set(set_request(&format!("k{i}"), "1")).await }
        })
        .collect();
    // Four may wait in the queue and four more in the group before it; the rest hear at once.
    for _ in 0..12 {
        assert_eq!(reason(calls.next().await.unwrap()), Reason::LimitExceeded);
    }
    log.open_gate();
    while let Some(answer) = calls.next().await {
        if answer.is_err() {
            assert_eq!(reason(answer), Reason::LimitExceeded);
        }
    }
    server.set("after", "1").await.unwrap();
}

#[tokio::test]
async fn a_value_beyond_the_byte_bound_of_the_queue_is_refused() {
    let limits = Limits { queue_bytes: 10_000, ..Limits::default() };
    let server = start_on(memory_log(), limits).await;
    let error = server.set("a", &"x".repeat(20_000)).await.unwrap_err();
    assert_eq!(error.reason, Reason::LimitExceeded);
    assert!(error.retry_after.is_some());
}

/// A committer without an edge, whose deadlines nobody else keeps.
fn committer(log: Arc<FaultyLog>) -> CommitQueue {
    let metrics = CommitterMetrics::unregistered();
    let clock = Arc::new(TestClock::default());
    let committer = Committer::new(log, clock, Limits::default(), metrics);
    tokio::spawn(committer.worker.run());
    committer.queue
}

fn set(name: &str, deadline: Option<Instant>) -> Submission {
    let content = Content::untyped(Value::parse("1").unwrap());
    let wish = Wish {
        key: ConfigKey::parse("", name).unwrap(),
        expected_version: None,
        action: WishedAction::Set(content),
    };
    Submission {
        wishes: vec![wish],
        provenance: Provenance::default(),
        request: None,
        validate_only: false,
        deadline,
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

#[tokio::test]
async fn a_command_whose_time_ends_in_the_queue_is_not_written_and_says_so() {
    let log = FaultyLog::new(memory_log());
    let queue = committer(log.clone());
    queue.submit(set("warm-up", None)).await.unwrap();
    log.close_gate().await;
    let first = tokio::spawn({
        let queue = queue.clone();
        async move { queue.submit(set("first", None)).await }
    });
    log.append_waits().await;
    let late = queue.submit(set("late", Some(soon()))).await;
    assert_eq!(late, Err(Refusal::DeadlineExceeded));
    log.open_gate();
    first.await.unwrap().unwrap();
    queue.submit(set("after", None)).await.unwrap();
    let streams: Vec<_> = rows(&*log).await.iter().map(|row| row.stream.to_string()).collect();
    assert_eq!(streams, ["default/warm-up", "default/first", "default/after"]);
}

#[tokio::test]
async fn who_keeps_a_deadline_hears_in_time_that_nothing_was_sent_to_the_log() {
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), Limits::default()).await;
    server.set("warm-up", "1").await.unwrap();
    log.close_gate().await;
    let first = tokio::spawn({
        let mut client = server.client.clone();
        async move { client.set(set_request("first", "1")).await }
    });
    log.append_waits().await;
    let mut late = Request::new(set_request("late", "1"));
    // So long that the most is kept back of it for the way of the refusal.
    late.set_timeout(Duration::from_secs(2));
    let told = server.client.clone().set(late).await.unwrap_err();
    let error = ApiError::of_our_server(&told).expect("the server's own word");
    assert_eq!(error.reason, Reason::DeadlineExceeded);
    log.open_gate();
    first.await.unwrap().unwrap();
    server.set("after", "1").await.unwrap();
    let streams: Vec<_> = rows(&*log).await.iter().map(|row| row.stream.to_string()).collect();
    assert_eq!(streams, ["default/warm-up", "default/first", "default/after"]);
}

#[tokio::test]
async fn a_command_whose_time_ends_in_the_commit_is_written_all_the_same() {
    let log = FaultyLog::new(memory_log());
    let queue = committer(log.clone());
    queue.submit(set("warm-up", None)).await.unwrap();
    log.close_gate().await;
    assert_eq!(queue.submit(set("a", Some(soon()))).await, Err(Refusal::OutcomeUnknown));
    log.open_gate();
    assert_eq!(queue.submit(set("a", None)).await.unwrap()[0].version, Version(2));
    assert_eq!(rows(&*log).await.len(), 3);
}

/// They were decided with one that is being written, which says nothing of them.
#[tokio::test]
async fn commands_that_are_not_sent_are_not_in_doubt_though_their_time_ends_in_the_commit() {
    let stage = Stage::new().await;
    let sent = set("d", Some(soon()));
    let validated = Submission { validate_only: true, ..sent.clone() };
    let mut broken = sent.clone();
    broken.wishes[0].expected_version = Some(Version(7));
    let calls = stage.decide_behind_a_commit(vec![sent, validated, broken]).await;
    stage.log.let_one_through();
    stage.log.append_waits().await;

    let answers = join_all(calls).await;
    assert!(answers[0].is_ok(), "{answers:?}");
    let late = [Refusal::OutcomeUnknown, Refusal::DeadlineExceeded, Refusal::DeadlineExceeded];
    assert_eq!(answers[1..], late.map(Err));
    stage.log.open_gate();
}

/// Another server was faster, so nothing of it was written, and by now it breaks a rule.
#[tokio::test]
async fn a_command_that_another_writer_forestalled_is_not_in_doubt_when_its_time_ends() {
    let log = FaultyLog::new(memory_log());
    let queue = committer(log.clone());
    queue.submit(set("warm-up", None)).await.unwrap();
    log.close_gate().await;
    let mut late = keyed(set("a", Some(soon())));
    late.wishes[0].expected_version = Some(Version::NONE);
    let late = tokio::spawn({
        let queue = queue.clone();
        async move { queue.submit(late).await }
    });
    log.append_waits().await;
    let other = committer(FaultyLog::new(log.inner()));
    other.submit(set("a", None)).await.unwrap();
    log.hold_look_ups().await;
    log.open_gate();

    assert_eq!(late.await.unwrap(), Err(Refusal::DeadlineExceeded));
    log.let_look_ups_go();
    queue.submit(set("after", None)).await.unwrap();
    let streams: Vec<_> = rows(&*log).await.iter().map(|row| row.stream.to_string()).collect();
    assert_eq!(streams, ["default/warm-up", "default/a", "default/after"]);
}

/// The one that settles commands is gone, and had not begun with them.
#[tokio::test]
async fn what_nobody_began_with_is_not_in_doubt() {
    let clock = Arc::<TestClock>::default();
    let metrics = CommitterMetrics::unregistered();
    let Committer { queue, worker, .. } =
        Committer::new(memory_log(), clock, Limits::default(), metrics);
    let mut waits = pin!(queue.submit(set("a", None)));
    assert!(poll!(&mut waits).is_pending());
    drop(worker);
    let answer = waits.await;
    assert!(matches!(answer, Err(Refusal::DeadlineExceeded)), "{answer:?}");
    let answer = queue.submit(set("a", None)).await;
    assert!(matches!(answer, Err(Refusal::Unavailable(_))), "{answer:?}");
}
