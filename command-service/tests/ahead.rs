//! Looking ahead: what is decided while the commit before it is under way is true, or decided anew.

use std::sync::Arc;
use std::time::Duration;

use configapi_command_service::clock::Clock as _;
use configapi_command_service::committer::{
    CommitQueue, Committer, CommitterMetrics, Limits, Receipt, Refusal, Submission, Wish,
    WishedAction,
};
use configapi_domain::{
    BrokenRule, ConfigKey, Content, Provenance, RequestId, Timestamp, Value, Version,
};
use configapi_event_log::{EventLog, Fingerprint, MemoryLog, RequestKey};
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use prometheus_client::registry::Registry;
use tokio::task::yield_now;

use crate::faulty_log::{Fault, FaultyLog};
use crate::support::{TestClock, memory_log, rows};

pub type Answer = Result<Vec<Receipt>, Refusal>;

fn start(log: Arc<dyn EventLog>, metrics: CommitterMetrics) -> CommitQueue {
    start_with(log, metrics, Arc::default(), Limits::default())
}

fn start_with(
    log: Arc<dyn EventLog>,
    metrics: CommitterMetrics,
    clock: Arc<TestClock>,
    limits: Limits,
) -> CommitQueue {
    let committer = Committer::new(log, clock, limits, metrics);
    tokio::spawn(committer.worker.run());
    committer.queue
}

/// A committer on a log with a gate.
pub struct Stage {
    inner: Arc<MemoryLog>,
    pub log: Arc<FaultyLog>,
    queue: CommitQueue,
    registry: Registry,
    pub clock: Arc<TestClock>,
}

impl Stage {
    pub async fn new() -> Self {
        Self::on(memory_log()).await
    }

    /// On a log in which another committer wrote these configs before: this one does not know them.
    pub async fn with_unknown(names: &[&str]) -> Self {
        let log = memory_log();
        let other = start(log.clone(), CommitterMetrics::unregistered());
        for name in names {
            other.submit(set(name, None)).await.unwrap();
        }
        Self::on(log).await
    }

    pub async fn on(inner: Arc<MemoryLog>) -> Self {
        Self::within(inner, Limits::default()).await
    }

    pub async fn within(inner: Arc<MemoryLog>, limits: Limits) -> Self {
        let log = FaultyLog::new(inner.clone());
        let mut registry = Registry::default();
        let clock = Arc::<TestClock>::default();
        let metrics = CommitterMetrics::register(&mut registry);
        let queue = start_with(log.clone(), metrics, Arc::clone(&clock), limits);
        let stage = Self { inner, log, queue, registry, clock };
        stage.queue.submit(set("a", None)).await.unwrap();
        stage.looked_up().await;
        stage
    }

    /// Returns when a look-up has read something, however long that takes.
    pub async fn looked_up(&self) {
        tokio::time::timeout(Duration::from_secs(10), self.log.looked_up()).await.unwrap();
    }

    /// Has these decided behind a commit, lets that one go on, and tells how all went.
    pub async fn behind_a_commit(&self, others: Vec<Submission>) -> Vec<Answer> {
        let calls = self.decide_behind_a_commit(others).await;
        self.log.open_gate();
        join_all(calls).await
    }

    /// Holds one set in the gate, and has these decided behind it.
    pub async fn decide_behind_a_commit(
        &self,
        others: Vec<Submission>,
    ) -> Vec<BoxFuture<'static, Answer>> {
        self.log.close_gate().await;
        let mut calls = vec![self.submit(set("a", None)).await];
        self.log.append_waits().await;
        for other in others {
            calls.push(self.submit(other).await);
        }
        self.all_decided().await;
        calls
    }

    /// Returns when nobody is in the queue any more, although a commit is under way.
    pub async fn all_decided(&self) {
        let all_decided = async {
            while !self.tells("configapi_command_queue_depth 0") {
                yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all_decided).await.unwrap();
    }

    /// Puts a submission into the queue.
    pub async fn submit(&self, submission: Submission) -> BoxFuture<'static, Answer> {
        let queue = self.queue.clone();
        let mut call = async move { queue.submit(submission).await }.boxed();
        assert!(futures_util::poll!(&mut call).is_pending());
        call
    }

    pub fn tells(&self, line: &str) -> bool {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines().any(|told| told == line)
    }

    /// When the newest event in the log was recorded.
    pub async fn last_recorded_at(&self) -> Timestamp {
        rows(&*self.log).await.last().unwrap().recorded_at
    }

    /// The configs and versions in the log.
    pub async fn written(&self) -> Vec<(String, u64)> {
        let rows = rows(&*self.log).await;
        rows.iter().map(|row| (row.stream.to_string(), row.version.0)).collect()
    }
}

pub fn set(name: &str, expected_version: Option<u64>) -> Submission {
    set_to(name, expected_version, "1")
}

pub fn set_to(name: &str, expected_version: Option<u64>, value: &str) -> Submission {
    Submission {
        wishes: vec![Wish {
            key: ConfigKey::parse("", name).unwrap(),
            expected_version: expected_version.map(Version),
            action: WishedAction::Set(Content::untyped(Value::parse(value).unwrap())),
        }],
        provenance: Provenance::default(),
        request: None,
        validate_only: false,
        deadline: None,
    }
}

pub fn keyed(submission: Submission) -> Submission {
    let id = RequestId::parse("one").unwrap();
    let request = Some(RequestKey { id: id.clone(), fingerprint: Fingerprint([7; 16]) });
    let provenance = Provenance { request_id: Some(id), ..Provenance::default() };
    Submission { request, provenance, ..submission }
}

pub fn is_conflict(answer: &Answer) -> bool {
    matches!(answer, Err(Refusal::Rule { rule: BrokenRule::VersionConflict { .. }, .. }))
}

pub fn log_of(configs: &[(&str, u64)]) -> Vec<(String, u64)> {
    configs.iter().map(|(name, version)| (format!("default/{name}"), *version)).collect()
}

#[tokio::test]
async fn what_is_decided_behind_a_commit_stands_on_what_it_writes() {
    let stage = Stage::new().await;
    let others = vec![set("a", Some(2)), set("a", Some(1)), set("b", Some(0))];
    let answers = stage.behind_a_commit(others).await;
    let accepted: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, true, false, true], "{answers:?}");
    assert!(is_conflict(&answers[2]), "{answers:?}");
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("a", 3), ("b", 1)]));
    assert_eq!(stage.log.appended(), [1, 1, 2]);
}

#[tokio::test]
async fn what_is_decided_behind_a_commit_that_is_not_made_is_decided_anew() {
    let stage = Stage::new().await;
    stage.log.fail_next([Fault::Unavailable]);
    let others = vec![set("a", Some(2)), set("a", Some(1)), set("b", Some(0))];
    let answers = stage.behind_a_commit(others).await;
    assert!(matches!(answers[0], Err(Refusal::Unavailable(_))), "{answers:?}");
    assert!(is_conflict(&answers[1]), "{answers:?}");
    assert!(answers[2].is_ok() && answers[3].is_ok(), "{answers:?}");
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("b", 1)]));
}

#[tokio::test]
async fn what_is_decided_behind_a_commit_whose_answer_is_lost_is_true_all_the_same() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let stage = Stage::new().await;
        stage.log.fail_next([fault]);
        let answers = stage.behind_a_commit(vec![set("a", Some(2)), set("a", Some(1))]).await;
        assert!(answers[0].is_ok() && answers[1].is_ok(), "{fault:?}: {answers:?}");
        assert!(is_conflict(&answers[2]), "{fault:?}: {answers:?}");
        assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("a", 3)]), "{fault:?}");
    }
}

/// A request that came through another server too leads to the very same event there, if both take its
/// time from the event before it.
#[tokio::test]
async fn a_batch_that_another_writer_began_alike_is_not_taken_for_written() {
    let stage = Stage::new().await;
    stage.clock.advance(A_WHILE_MICROS);
    stage.queue.submit(set("a", None)).await.unwrap();
    stage.clock.turn_back(A_WHILE_MICROS);
    let repeated = keyed(set("a", None));
    let calls = stage.decide_behind_a_commit(vec![repeated.clone(), set("b", None)]).await;
    stage.log.let_one_through();
    stage.log.append_waits().await;
    let other = start(stage.inner.clone(), CommitterMetrics::unregistered());
    other.submit(repeated).await.unwrap();
    stage.log.fail_next([Fault::LostBefore]);
    stage.log.open_gate();
    let answers = join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let written = [("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 1)];
    assert_eq!(stage.written().await, log_of(&written));
}

#[tokio::test]
async fn what_is_decided_behind_a_commit_that_another_writer_beats_is_decided_anew() {
    let stage = Stage::new().await;
    let calls = stage.decide_behind_a_commit(vec![set("a", Some(2)), set("b", Some(0))]).await;
    let other = start(stage.inner.clone(), CommitterMetrics::unregistered());
    other.submit(set("a", None)).await.unwrap();
    stage.log.open_gate();
    let answers = join_all(calls).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert!(is_conflict(&answers[1]), "{answers:?}");
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("a", 3), ("b", 1)]));
}

#[tokio::test]
async fn who_is_in_the_log_is_answered_while_the_commit_behind_is_under_way() {
    let stage = Stage::new().await;
    let mut calls = stage.decide_behind_a_commit(vec![set("b", Some(0))]).await;
    let mut behind = calls.pop().unwrap();
    stage.log.let_one_through();
    let answer = tokio::time::timeout(Duration::from_secs(10), calls.pop().unwrap()).await.unwrap();
    assert!(answer.is_ok(), "{answer:?}");
    stage.log.append_waits().await;
    assert!(futures_util::poll!(&mut behind).is_pending());
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2)]));
    stage.log.open_gate();
    assert!(behind.await.is_ok());
}

#[tokio::test]
async fn configs_that_nobody_knows_are_looked_up_once_while_a_commit_is_under_way() {
    let stage = Stage::with_unknown(&["c", "d"]).await;
    let others = vec![set("c", Some(1)), set("new", Some(0)), set("d", Some(7)), set("c", None)];
    let calls = stage.decide_behind_a_commit(others).await;
    stage.looked_up().await;
    assert_eq!(stage.log.look_ups()[1][..1], ["default/c"], "{:?}", stage.log.look_ups());
    stage.log.open_gate();
    let answers = join_all(calls).await;
    let accepted: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, true, true, false, true], "{answers:?}");
    assert!(is_conflict(&answers[3]), "{answers:?}");
    let written = [("c", 1), ("d", 1), ("a", 1), ("a", 2), ("c", 2), ("new", 1), ("c", 3)];
    assert_eq!(stage.written().await, log_of(&written));
    let mut asked = stage.log.look_ups().concat();
    asked.sort();
    assert_eq!(asked, ["default/a", "default/c", "default/d", "default/new"]);
}

#[tokio::test]
async fn a_look_up_that_fails_behind_a_commit_is_made_again() {
    let stage = Stage::with_unknown(&["c"]).await;
    stage.log.fail_look_ups(true);
    let calls = stage.decide_behind_a_commit(vec![set("c", Some(1))]).await;
    stage.looked_up().await;
    stage.log.fail_look_ups(false);
    stage.log.open_gate();
    let answers = join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(stage.written().await, log_of(&[("c", 1), ("a", 1), ("a", 2), ("c", 2)]));
    assert_eq!(stage.log.look_ups().concat(), ["default/a", "default/c", "default/c"]);
}

#[tokio::test]
async fn what_was_looked_up_for_a_head_that_never_came_to_be_is_not_believed() {
    let stage = Stage::with_unknown(&["c"]).await;
    stage.log.hold_look_ups().await;
    let calls = stage.decide_behind_a_commit(vec![set("c", Some(1)), set("c", None)]).await;
    stage.looked_up().await;
    // What was read is old by now, and so is the head that it was read for.
    let other = start(stage.inner.clone(), CommitterMetrics::unregistered());
    other.submit(set("c", None)).await.unwrap();
    stage.log.open_gate();
    stage.looked_up().await;
    stage.log.let_look_ups_go();
    let answers = join_all(calls).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert!(is_conflict(&answers[1]), "{answers:?}");
    let written = [("c", 1), ("a", 1), ("c", 2), ("a", 2), ("c", 3)];
    assert_eq!(stage.written().await, log_of(&written));
}

/// Less than a clock may be off unnoticed, and more than any decision may be old.
const A_WHILE_MICROS: i64 = 500_000;

#[tokio::test]
async fn who_comes_after_one_that_gave_up_behind_a_commit_has_a_time_of_their_own() {
    let stage = Stage::new().await;
    let calls = stage.decide_behind_a_commit(Vec::new()).await;
    drop(stage.submit(set("given-up", None)).await);
    stage.all_decided().await;
    stage.log.open_gate();
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    stage.clock.advance(A_WHILE_MICROS);
    let came_at = stage.clock.now();
    stage.queue.submit(set("b", None)).await.unwrap();
    assert!(stage.last_recorded_at().await > came_at);
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("b", 1)]));
}

#[tokio::test]
async fn who_comes_after_many_that_gave_up_behind_a_commit_has_its_turn() {
    let stage = Stage::new().await;
    let mut calls = stage.decide_behind_a_commit(Vec::new()).await;
    // More than a batch may weigh, if they were still wanted.
    let large = "x".repeat(Limits::default().batch_bytes / 5);
    let mut given_up = Vec::new();
    for _ in 0..5 {
        given_up.push(stage.submit(set_to("given-up", None, &large)).await);
    }
    drop(given_up);
    stage.all_decided().await;
    calls.push(stage.submit(set("b", None)).await);
    stage.log.open_gate();
    let answers = join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("b", 1)]));
    assert!(stage.tells("configapi_command_queue_depth 0"), "nobody is thought to wait");
}

#[tokio::test]
async fn what_was_decided_long_before_its_turn_comes_is_decided_anew() {
    let stage = Stage::new().await;
    let calls = stage.decide_behind_a_commit(vec![set("a", Some(2)), set("b", Some(0))]).await;
    stage.clock.advance(A_WHILE_MICROS);
    let turn_came_at = stage.clock.now();
    stage.log.open_gate();
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert!(stage.last_recorded_at().await > turn_came_at);
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("a", 3), ("b", 1)]));
}

/// One that was set wrong and right again while the commit before is under way.
#[tokio::test]
async fn what_was_decided_ahead_while_the_clock_was_wrong_does_not_bear_its_time() {
    const HOUR_MICROS: i64 = 3_600_000_000;
    let stage = Stage::new().await;
    let mut calls = stage.decide_behind_a_commit(Vec::new()).await;
    stage.clock.advance(HOUR_MICROS);
    calls.push(stage.submit(set("b", None)).await);
    stage.all_decided().await;
    stage.clock.turn_back(HOUR_MICROS);
    stage.log.open_gate();
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert!(stage.last_recorded_at().await < stage.clock.now());
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("b", 1)]));
}

/// A command that is refused may repeat one that was accepted, so the log is asked for it.
#[tokio::test]
async fn what_was_decided_before_repeats_were_looked_up_for_long_is_decided_anew() {
    let stage = Stage::new().await;
    let refused = keyed(set("a", Some(7)));
    let calls = stage.decide_behind_a_commit(vec![refused, set("a", None)]).await;
    stage.log.hold_look_ups().await;
    stage.log.open_gate();
    stage.looked_up().await;
    stage.clock.advance(A_WHILE_MICROS);
    let told_at = stage.clock.now();
    stage.log.let_look_ups_go();
    let answers = join_all(calls).await;
    assert!(is_conflict(&answers[1]) && answers[2].is_ok(), "{answers:?}");
    assert!(stage.log.looked_up().now_or_never().is_none(), "it was asked again");
    assert!(stage.last_recorded_at().await > told_at);
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("a", 3)]));
}
