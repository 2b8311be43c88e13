//! Looking ahead has its bounds: how much is gathered and looked up behind a commit, and what is looked up
//! once, and not again, as it was before.

use std::sync::Arc;

use configapi_command_service::committer::{Limits, Submission};
use configapi_event_log::MemoryLog;
use futures_util::future::{FutureExt as _, join_all};
use tokio::task::yield_now;

use crate::ahead::{Answer, Stage, set};
use crate::support::{memory_log, start_on};

/// Enough for everybody who is ready to have come to where nothing more is to be done.
const TURNS: usize = 200;

async fn nothing_more_is_done() {
    for _ in 0..TURNS {
        yield_now().await;
    }
}

fn apply(submissions: impl IntoIterator<Item = Submission>) -> Submission {
    let wishes = submissions.into_iter().flat_map(|it| it.wishes).collect();
    Submission { wishes, ..set("unused", None) }
}

fn are_ok(answers: &[Answer]) -> bool {
    answers.iter().all(Result::is_ok)
}

/// How many events each commit has if all these come while one is under way.
async fn commits_of(limits: Limits, others: Vec<Submission>) -> Vec<usize> {
    let stage = Stage::within(memory_log(), limits).await;
    stage.log.close_gate().await;
    let mut calls = vec![stage.submit(set("a", None)).await];
    stage.log.append_waits().await;
    for other in others {
        calls.push(stage.submit(other).await);
        nothing_more_is_done().await;
    }
    stage.log.open_gate();
    let answers = join_all(calls).await;
    assert!(are_ok(&answers), "{answers:?}");
    stage.log.appended()[2..].to_vec()
}

#[tokio::test]
async fn no_more_is_gathered_behind_a_commit_than_a_batch_may_hold() {
    let many = || (0..10).map(|i| set(&format!("k{i}"), None)).collect::<Vec<_>>();
    let four_bytes = many()[..4].iter().map(Submission::weight_bytes).sum();
    let by_submissions = Limits { batch_submissions: 4, ..Limits::default() };
    let by_bytes = Limits { batch_bytes: four_bytes, ..Limits::default() };
    for limits in [by_submissions, by_bytes] {
        assert_eq!(commits_of(limits, many()).await, [4, 4, 2], "{limits:?}");
    }
    // Those of an Apply count each for itself.
    let three = apply(["x", "y", "z"].map(|name| set(name, None)));
    let others = [vec![three], many()].concat();
    let by_commands = Limits { batch_commands: 4, ..Limits::default() };
    assert_eq!(commits_of(by_commands, others).await, [4, 4, 4, 1]);
}

/// A log in which so many configs have values of this size.
async fn log_of_large(configs: usize, value_bytes: usize) -> Arc<MemoryLog> {
    let log = memory_log();
    let server = start_on(log.clone(), Limits::default()).await;
    for i in 0..configs {
        server.set(&format!("k{i}"), &"v".repeat(value_bytes)).await.unwrap();
    }
    log
}

#[tokio::test]
async fn no_more_is_looked_up_behind_a_commit_than_a_commit_can_hold() {
    const COMMIT_BYTES: usize = 1 << 20;
    const VALUE_BYTES: usize = 50_000;
    const HALF: usize = 60;
    let log = log_of_large(2 * HALF, VALUE_BYTES).await;
    let limits = Limits { commit_bytes: COMMIT_BYTES, ..Limits::default() };
    let stage = Stage::within(log, limits).await;
    let known_before = stage.log.look_ups().len();
    let sets = |range: std::ops::Range<usize>| range.map(|i| set(&format!("k{i}"), Some(1)));
    let mut calls = stage.decide_behind_a_commit(sets(0..HALF).collect()).await;
    nothing_more_is_done().await;
    let looked_up = stage.log.look_ups()[known_before..].concat().len();
    assert!(looked_up * VALUE_BYTES < 2 * COMMIT_BYTES + VALUE_BYTES, "{looked_up} configs");
    assert!(looked_up * VALUE_BYTES > COMMIT_BYTES, "{looked_up} configs");
    // Who comes now is looked up when that has left.
    for other in sets(HALF..2 * HALF) {
        calls.push(stage.submit(other).await);
    }
    stage.all_decided().await;
    nothing_more_is_done().await;
    assert_eq!(stage.log.look_ups()[known_before..].concat().len(), looked_up);
    stage.log.open_gate();
    let answers = join_all(calls).await;
    assert!(are_ok(&answers), "{answers:?}");
}

#[tokio::test]
async fn no_more_configs_are_looked_up_at_once_than_a_look_up_may_name() {
    let limits = Limits { load_streams: 2, ..Limits::default() };
    let stage = Stage::within(memory_log(), limits).await;
    let five = apply(["b", "c", "d", "e", "f"].map(|name| set(name, None)));
    assert!(stage.submit(five).await.await.is_ok());
    let sizes: Vec<_> = stage.log.look_ups().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 2, 2, 1]);
}

#[tokio::test]
async fn who_comes_while_others_are_looked_up_behind_a_commit_waits_for_that() {
    let stage = Stage::with_unknown(&["c", "d"]).await;
    stage.log.hold_look_ups().await;
    let mut calls = stage.decide_behind_a_commit(vec![set("c", Some(1))]).await;
    stage.looked_up().await;
    calls.push(stage.submit(apply([set("a", Some(2)), set("d", Some(1))])).await);
    stage.all_decided().await;
    nothing_more_is_done().await;
    assert!(stage.log.looked_up().now_or_never().is_none(), "{:?}", stage.log.look_ups());
    stage.log.let_look_ups_go();
    stage.looked_up().await;
    nothing_more_is_done().await;
    stage.log.open_gate();
    let answers = join_all(calls).await;
    assert!(are_ok(&answers), "{answers:?}");
    // Each of them once, and not what is known.
    assert_eq!(stage.log.look_ups().concat(), ["default/a", "default/c", "default/d"]);
}

/// There is no room for it any more, and the log still holds what it was before the commit.
#[tokio::test]
async fn what_a_commit_under_way_makes_of_a_config_is_not_looked_up_as_it_was_before() {
    let limits = Limits { cache_bytes: 0, ..Limits::default() };
    let stage = Stage::within(memory_log(), limits).await;
    stage.log.hold_look_ups().await;
    let unknown = apply(["b", "c", "d", "e"].map(|name| set(name, Some(0))));
    let mut calls = stage.decide_behind_a_commit(vec![unknown]).await;
    stage.looked_up().await;
    for other in [set("f", Some(0)), set("a", Some(2))] {
        calls.push(stage.submit(other).await);
    }
    stage.all_decided().await;
    stage.log.let_look_ups_go();
    stage.looked_up().await;
    nothing_more_is_done().await;
    stage.log.open_gate();
    let answers = join_all(calls).await;
    assert!(are_ok(&answers), "{answers:?}");
    assert_eq!(answers[3].as_ref().unwrap()[0].version.0, 3);
}
