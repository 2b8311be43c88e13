//! What is decided together: each submission stands on what those before it did, on nothing that was
//! refused or only validated, and gets the answer to what it asked.

use configapi_command_service::committer::{Limits, Refusal, Submission, WishedAction};
use configapi_domain::{Point, Timestamp, Version};
use configapi_event_log::{Fingerprint, RequestKey};

use crate::ahead::{Answer, Stage, is_conflict, keyed, log_of, set, set_to};
use crate::support::{memory_log, rows};

/// One submission of what these ask for.
fn apply(submissions: Vec<Submission>) -> Submission {
    let wishes = submissions.into_iter().flat_map(|submission| submission.wishes).collect();
    Submission { wishes, ..set("b", None) }
}

fn with(action: WishedAction, name: &str) -> Submission {
    let mut submission = set(name, None);
    submission.wishes[0].action = action;
    submission
}

fn versions(answer: &Answer) -> Vec<(&str, u64)> {
    let receipts = answer.as_ref().unwrap().iter();
    receipts.map(|receipt| (receipt.key.name(), receipt.version.0)).collect()
}

#[tokio::test]
async fn a_refused_apply_leaves_nothing_to_those_decided_after_it() {
    let stage = Stage::new().await;
    let never_was = with(WishedAction::Delete, "never-was");
    let refused = apply(vec![set_to("b", None, "refused"), set_to("b", None, "too"), never_was]);
    let to_first = with(WishedAction::Restore(Some(Point::Version(Version(1)))), "b");
    let others = vec![refused, set_to("b", Some(0), "kept"), set_to("b", None, "later"), to_first];
    let answers = stage.behind_a_commit(others).await;
    assert!(matches!(&answers[1], Err(Refusal::Rule { index: 2, .. })), "{answers:?}");
    assert_eq!(versions(&answers[2]), [("b", 1)]);
    assert_eq!(versions(&answers[4]), [("b", 3)]);
    let written = log_of(&[("a", 1), ("a", 2), ("b", 1), ("b", 2), ("b", 3)]);
    assert_eq!(stage.written().await, written);
    let restored = rows(&*stage.log).await.pop().unwrap();
    assert!(restored.payload.contains("kept"), "{}", restored.payload);
}

#[tokio::test]
async fn what_is_only_validated_leaves_nothing_to_those_decided_after_it() {
    let stage = Stage::new().await;
    let validated = || Submission { validate_only: true, ..set("b", Some(0)) };
    let answers = stage.behind_a_commit(vec![validated(), set("b", Some(0)), validated()]).await;
    assert_eq!(versions(&answers[1]), [("b", 1)]);
    assert_eq!(answers[1].as_ref().unwrap()[0].written, None);
    assert_eq!(versions(&answers[2]), [("b", 1)]);
    assert!(is_conflict(&answers[3]), "{answers:?}");
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("b", 1)]));
}

#[tokio::test]
async fn one_request_id_for_two_commands_that_come_together_is_refused() {
    let stage = Stage::new().await;
    let other = |submission: Submission| {
        let request = submission
            .request
            .map(|request| RequestKey { fingerprint: Fingerprint([8; 16]), ..request });
        Submission { request, ..submission }
    };
    let (first, again) = (keyed(set("b", None)), keyed(set("b", None)));
    let others = vec![set("d", None), first, again, other(keyed(set("c", None)))];
    let answers = stage.behind_a_commit(others).await;
    assert_eq!(versions(&answers[2]), [("b", 1)]);
    assert_eq!(answers[3], answers[2], "a repeat");
    assert_eq!(answers[4], Err(Refusal::RequestIdReused));
    assert_eq!(stage.written().await, log_of(&[("a", 1), ("a", 2), ("d", 1), ("b", 1)]));
}

#[tokio::test]
async fn a_config_is_restored_to_what_those_decided_before_made_of_it() {
    let stage = Stage::new().await;
    let in_future = WishedAction::Restore(Some(Point::Time(Timestamp(i64::MAX / 2))));
    let others = vec![
        set_to("b", None, "first"),
        set_to("b", None, "second"),
        with(in_future, "b"),
        set_to("c", None, "of another"),
        with(WishedAction::Restore(Some(Point::Version(Version(1)))), "b"),
    ];
    let answers = stage.behind_a_commit(others).await;
    assert_eq!(versions(&answers[3]), [("b", 3)]);
    assert_eq!(versions(&answers[5]), [("b", 4)]);
    let rows = rows(&*stage.log).await;
    let is_restored_to = |row: usize, value: &str| {
        let payload = &rows[row].payload;
        assert!(payload.contains(&format!("\"value\":\"{value}\"")), "{payload}");
    };
    is_restored_to(4, "second");
    is_restored_to(6, "first");
}

/// What is smaller does not pass what has no room: each would get the other's answer.
#[tokio::test]
async fn what_has_no_room_in_a_commit_waits_and_all_behind_it_with_it() {
    let limits = Limits { commit_bytes: 10_000, ..Limits::default() };
    let stage = Stage::within(memory_log(), limits).await;
    let sized = |name: &str, bytes: usize| set_to(name, None, &"v".repeat(bytes));
    let others = vec![sized("b", 3_000), sized("c", 3_000), sized("d", 6_000), sized("e", 10)];
    let answers = stage.behind_a_commit(others).await;
    for (answer, name) in answers.iter().zip(["a", "b", "c", "d", "e"]) {
        assert_eq!(answer.as_ref().unwrap()[0].key.name(), name, "{answers:?}");
    }
    assert_eq!(stage.log.appended(), [1, 1, 2, 2]);
    let written = log_of(&[("a", 1), ("a", 2), ("b", 1), ("c", 1), ("d", 1), ("e", 1)]);
    assert_eq!(stage.written().await, written);
}

/// The clock was set back a little, and what is decided ahead looks at it too.
#[tokio::test]
async fn what_is_decided_ahead_bears_no_time_before_that_of_what_it_stands_on() {
    let stage = Stage::new().await;
    stage.clock.turn_back(1_000);
    let answers = stage.behind_a_commit(vec![set("b", None)]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let rows = rows(&*stage.log).await;
    assert!(rows.is_sorted_by_key(|row| row.recorded_at), "{rows:?}");
}

/// As of a time is with all that bears this time: so a config is what those decided before made of it.
#[tokio::test]
async fn the_time_of_the_batch_itself_is_now() {
    let stage = Stage::new().await;
    // All of it bears the time of the event before, which is later than the clock's.
    let time = rows(&*stage.log).await.pop().unwrap().recorded_at;
    stage.clock.turn_back(1_000);
    let restore = with(WishedAction::Restore(Some(Point::Time(time))), "b");
    let answers = stage.behind_a_commit(vec![set_to("b", None, "first"), restore]).await;
    assert_eq!(versions(&answers[2]), [("b", 2)]);
    assert_eq!(stage.last_recorded_at().await, time);
}

#[tokio::test]
async fn a_batch_is_told_by_its_commands_those_of_an_apply_each_for_itself() {
    let stage = Stage::new().await;
    let three = apply(vec![set("b", None), set("c", None), set("d", None)]);
    stage.behind_a_commit(vec![three, set("e", None)]).await;
    for line in ["batch_commands_count 3", "batch_commands_sum 6.0"] {
        assert!(stage.tells(&format!("configapi_command_{line}")), "{line}");
    }
}

#[tokio::test]
async fn a_commit_is_filled_to_its_last_byte() {
    let large = |name: &str| set_to(name, None, &"v".repeat(5_000));
    let within = async |commit_bytes| {
        let limits = Limits { commit_bytes, ..Limits::default() };
        Stage::within(memory_log(), limits).await
    };
    let answers = within(4_000).await.behind_a_commit(vec![large("b")]).await;
    let Err(Refusal::TooLarge { bytes, .. }) = answers[1] else { panic!("{answers:?}") };
    for (commit_bytes, appended) in [(bytes * 2, &[1, 1, 2][..]), (bytes, &[1, 1, 1, 1])] {
        let stage = within(commit_bytes).await;
        let answers = stage.behind_a_commit(vec![large("b"), large("c")]).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(stage.log.appended(), appended, "{commit_bytes}");
    }
}
