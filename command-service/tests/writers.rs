//! Several command servers on one log: correct under any interleaving, and none starves.

use std::sync::Arc;
use std::time::Duration;

use configapi_command_service::committer::Limits;
use configapi_event_log::{EventLog, Head, StoredEvent, seal};
use configapi_proto::v1::restore_target::Moment;
use configapi_proto::v1::{DeleteRequest, RestoreRequest, RestoreTarget, SetRequest};
use configapi_proto::{ApiError, Reason, key, timestamp_from_micros};
use futures_util::future::FutureExt as _;

use crate::ahead::{Stage, set};
use crate::faulty_log::FaultyLog;
use crate::support::{
    BEGINNING, TestServer, copy_of, memory_log, refusal, rows, set_request, start_on,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_write_side_by_side_and_all_get_through() {
    let log = memory_log();
    let mut calls = Vec::new();
    let mut servers = Vec::new();
    for server in 0..3 {
        let test_server = start_on(log.clone(), Limits::default()).await;
        for caller in 0..8 {
            let client = test_server.client.clone();
            calls.push(tokio::spawn(async move {
                for i in 0..25 {
                    let name = format!("s{server}/c{caller}/{}", i % 5);
                    client.clone().set(set_request(&name, &i.to_string())).await.unwrap();
                }
            }));
        }
        servers.push(test_server);
    }
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(servers[0].events().await.len(), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_catches_up_though_the_store_does_not_answer_for_whole_pages_in_time() {
    let log = memory_log();
    let slow = FaultyLog::new(log.clone());
    let limits = Limits { page_max: Duration::from_millis(50), ..Limits::default() };
    let server = start_on(slow.clone(), limits).await;
    server.client.clone().set(set_request("a", "1")).await.unwrap();
    slow.answer_up_to(64 << 10);
    let other = start_on(log, Limits::default()).await;
    for number in 0..40 {
        let request = set_request(&format!("other/{number}"), &"v".repeat(10_000));
        other.client.clone().set(request).await.unwrap();
    }
    let catches_up =
        async { while server.client.clone().set(set_request("a", "2")).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), catches_up).await.unwrap();
    assert_eq!(other.events().await.len(), 42);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_kept_by_compare_and_set_through_two_servers_loses_no_step() {
    let log = memory_log();
    let servers =
        [start_on(log.clone(), Limits::default()).await, start_on(log, Limits::default()).await];
    let calls: Vec<_> = (0..4)
        .map(|caller| {
            let mut client = servers[caller % 2].client.clone();
            tokio::spawn(async move {
                let mut version = 0;
                let mut done = 0;
                while done < 25 {
                    let request = SetRequest {
                        expected_version: Some(version),
                        ..set_request("counter", &(version + 1).to_string())
                    };
                    match client.set(request).await {
                        Ok(answer) => {
                            version = answer.into_inner().receipt.unwrap().version;
                            done += 1;
                        }
                        Err(status) => {
                            let error = ApiError::from_status(&status);
                            assert_eq!(error.reason, Reason::VersionConflict, "{error:?}");
                            version = error.metadata[key::ACTUAL_VERSION].parse().unwrap();
                        }
                    }
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let events = servers[0].events().await;
    assert_eq!(events.len(), 100);
    assert_eq!(events[99].event.content().unwrap().value.as_str(), "100");
}

#[tokio::test]
async fn a_refusal_through_one_server_knows_what_the_other_wrote() {
    let log = memory_log();
    let one = start_on(log.clone(), Limits::default()).await;
    let two = start_on(log, Limits::default()).await;
    one.set("a", "1").await.unwrap();
    two.set("a", "2").await.unwrap();
    one.set("a", "3").await.unwrap();
    let stale = SetRequest { expected_version: Some(2), ..set_request("a", "4") };
    let error = two.set_with(stale).await.unwrap_err();
    assert_eq!(error.metadata[key::ACTUAL_VERSION], "3");
}

/// A newer program may have written what this one does not know.
#[tokio::test]
async fn nothing_is_written_over_an_event_that_cannot_be_read() {
    let log = memory_log();
    let server = start_on(log.clone(), Limits::default()).await;
    server.set("a", "1").await.unwrap();
    let head = log.head().await.unwrap();
    let mut row = rows(&*log).await.pop().unwrap();
    (row.position, row.version) = (row.position.next(), row.version.next());
    row.event_type = "ConfigForeseen".into();
    seal(head.hash, &mut row);
    log.append(&head, std::slice::from_ref(&row)).await.unwrap();

    for _ in 0..2 {
        let error = server.set("a", "2").await.unwrap_err();
        assert_eq!(error.reason, Reason::Internal, "{error}");
    }
    assert_eq!(server.set("b", "1").await.unwrap().version, 1);
    let streams: Vec<_> = rows(&*log).await.iter().map(|row| row.stream.to_string()).collect();
    assert_eq!(streams, ["default/a", "default/a", "default/b"]);
}

/// A standby may not have what another server wrote. What is refused by what it has, or found to be
/// all right by a dry run, might not be.
#[tokio::test]
async fn nothing_is_refused_or_promised_on_the_word_of_a_standby() {
    let log = FaultyLog::new(memory_log());
    let one = start_on(log.clone(), Limits::default()).await;
    let two = start_on(log.inner(), Limits::default()).await;
    one.set("a", "1").await.unwrap();
    log.read_from(Some(copy_of(&*log).await));
    let delete = DeleteRequest { name: "a".to_owned(), ..DeleteRequest::default() };
    two.client.clone().delete(delete).await.unwrap();

    let stale = SetRequest { expected_version: Some(2), ..set_request("a", "2") };
    let error = one.set_with(stale).await.unwrap_err();
    assert_eq!(error.reason, Reason::Unavailable, "{error:?}");
    let dry_run = SetRequest { validate_only: true, ..set_request("a", "2") };
    let error = one.set_with(dry_run.clone()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Unavailable, "{error:?}");

    log.read_from(None);
    let error = one.set_with(dry_run).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConfigDeleted, "{error:?}");
}

/// It may have what a failover loses. Nobody asks it for its head here: to know a repeat is enough.
#[tokio::test]
async fn a_repeat_is_not_answered_on_the_word_of_a_standby() {
    let limits = Limits { probe_every: Duration::from_mins(10), ..Limits::default() };
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), limits).await;
    let request_id = "one".to_owned();
    let create = SetRequest { expected_version: Some(0), request_id, ..set_request("a", "1") };
    let first = server.set_with(create.clone()).await.unwrap();
    log.read_from(Some(copy_of(&*log).await));
    let error = server.set_with(create.clone()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Unavailable, "{error:?}");
    log.read_from(None);
    assert_eq!(server.set_with(create).await.unwrap(), first);
}

/// It lags behind; the log lost nothing.
#[tokio::test]
async fn a_head_that_a_standby_does_not_have_yet_is_not_lost() {
    let log = FaultyLog::new(memory_log());
    let behind = copy_of(&*log).await;
    let server = start_on(log.clone(), Limits::default()).await;
    server.set("a", "1").await.unwrap();
    log.read_from(Some(behind));
    let stale = SetRequest { expected_version: Some(7), ..set_request("a", "2") };
    let error = server.set_with(stale.clone()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Unavailable, "{error:?}");
    log.read_from(None);
    let error = server.set_with(stale).await.unwrap_err();
    assert_eq!(error.reason, Reason::VersionConflict, "{error:?}");
    server.set("a", "2").await.unwrap();
}

/// A database ends a turn in which nothing happens for some seconds, and look-ups may take longer.
#[tokio::test]
async fn a_writer_has_looked_up_what_it_needs_when_its_turn_begins() {
    let log = FaultyLog::new(memory_log());
    let one = start_on(log.clone(), Limits::default()).await;
    let two = start_on(log.inner(), Limits::default()).await;
    one.set("a", "1").await.unwrap();
    for name in ["a", "b", "c"] {
        two.set(name, "2").await.unwrap();
    }
    log.turns().end_at_look_ups();
    // It finds out that it is not the only writer, and takes turns from now on.
    assert_eq!(one.set("b", "3").await.unwrap().version, 2);
    assert_eq!(one.set("c", "3").await.unwrap().version, 2);
    two.set("a", "3").await.unwrap();
    let target = Some(RestoreTarget { moment: Some(Moment::Version(1)) });
    let restore = RestoreRequest { name: "a".to_owned(), target, ..RestoreRequest::default() };
    let receipt = one.client.clone().restore(restore).await.unwrap().into_inner().receipt;
    assert_eq!(receipt.unwrap().version, 4);
}

/// A server beside which another one has written `a`, so that it takes turns from now on.
async fn taking_turns() -> (Arc<FaultyLog>, TestServer) {
    let log = FaultyLog::new(memory_log());
    let one = start_on(log.clone(), Limits::default()).await;
    let two = start_on(log.inner(), Limits::default()).await;
    one.set("a", "1").await.unwrap();
    two.set("a", "2").await.unwrap();
    one.set("a", "3").await.unwrap();
    (log, one)
}

/// The head, and the newest event once more, as what another writer appends to it: to be sealed.
async fn repeated(log: &dyn EventLog) -> (Head, StoredEvent) {
    let head = log.head().await.unwrap();
    let mut row = rows(log).await.pop().unwrap();
    (row.position, row.version) = (row.position.next(), row.version.next());
    (head, row)
}

/// It looks for what a config will have been at a time to come, and has lost its turn meanwhile.
#[tokio::test]
async fn a_refusal_by_a_server_that_lost_its_turn_knows_what_was_written_since() {
    let (log, one) = taking_turns().await;
    let (head, mut row) = repeated(&*log).await;
    seal(head.hash, &mut row);
    log.turns().end_at_look_ups();
    log.let_pass(head, row);
    let moment = Moment::Time(timestamp_from_micros(BEGINNING + 3_600_000_000));
    let restore = RestoreRequest {
        name: "a".to_owned(),
        expected_version: Some(7),
        target: Some(RestoreTarget { moment: Some(moment) }),
        ..RestoreRequest::default()
    };
    let error = refusal(one.client.clone().restore(restore).await);
    assert_eq!(error.reason, Reason::VersionConflict, "{error:?}");
    assert_eq!(error.metadata[key::ACTUAL_VERSION], "4");
}

/// It has looked up what the config was at the time of the newest event, and waits for its turn. Another
/// writer, whose clock is slower, writes an event of the same time.
#[tokio::test]
async fn a_writer_looks_again_at_the_time_of_the_newest_event_when_its_turn_has_come() {
    let (log, one) = taking_turns().await;
    let (head, mut row) = repeated(&*log).await;
    row.payload = row.payload.replace(r#""value":"3""#, r#""value":"4""#).into();
    seal(head.hash, &mut row);

    // Those of before are none of what is waited for.
    while log.looked_up().now_or_never().is_some() {}
    log.hold_look_ups().await;
    let moment = Moment::Time(timestamp_from_micros(head.recorded_at.0));
    let target = Some(RestoreTarget { moment: Some(moment) });
    let restore = RestoreRequest { name: "a".to_owned(), target, ..RestoreRequest::default() };
    let mut client = one.client.clone();
    let restored = tokio::spawn(async move { client.restore(restore).await });
    tokio::time::timeout(Duration::from_secs(10), log.looked_up()).await.unwrap();
    log.inner().append(&head, &[row]).await.unwrap();
    log.let_look_ups_go();
    assert_eq!(restored.await.unwrap().unwrap().into_inner().receipt.unwrap().version, 5);
    let newest = one.events().await.pop().unwrap();
    assert_eq!(newest.event.content().unwrap().value.as_str(), "4");
}

/// Another writer, which writes the newest event once more when its turn has come.
async fn write_again(log: &dyn EventLog) {
    let turn = log.take_turn().await.unwrap();
    let (head, mut row) = repeated(log).await;
    seal(head.hash, &mut row);
    turn.append(&head, &[row]).await.unwrap();
}

/// It was decided behind a commit, and another had its turn between the two.
#[tokio::test]
async fn a_refusal_that_was_decided_ahead_knows_what_was_written_in_between() {
    let stage = Stage::new().await;
    let log = stage.log.inner();
    stage.log.close_gate().await;
    let first = stage.submit(set("a", None)).await;
    stage.log.append_waits().await;
    // From then on it waits for its turn.
    write_again(&*log).await;
    stage.log.let_one_through();
    stage.log.append_waits().await;

    let next = stage.submit(set("a", Some(4))).await;
    stage.all_decided().await;
    let mut between = std::pin::pin!(write_again(&*log));
    assert!(futures_util::poll!(&mut between).is_pending());
    stage.log.open_gate();
    let (first, (), next) = futures_util::join!(first, between, next);
    assert_eq!((first.unwrap()[0].version.0, next.unwrap()[0].version.0), (3, 5));
}

/// It was under way when the commit lost its race, and is told while the next try is on its way.
#[tokio::test]
async fn what_was_looked_up_before_a_race_was_lost_is_not_believed_after_it() {
    let stage = Stage::with_unknown(&["c"]).await;
    let other = start_on(stage.log.inner(), Limits::default()).await;
    stage.log.hold_look_ups().await;
    let mut calls = stage.decide_behind_a_commit(vec![set("c", Some(2))]).await;
    stage.looked_up().await;
    other.set("c", "2").await.unwrap();
    stage.log.let_one_through();
    stage.log.append_waits().await;

    calls.push(stage.submit(set("b", None)).await);
    stage.all_decided().await;
    stage.log.let_look_ups_go();
    stage.looked_up().await;
    stage.log.open_gate();
    let answers = futures_util::future::join_all(calls).await;
    let versions: Vec<_> = answers.iter().map(|it| it.as_ref().unwrap()[0].version.0).collect();
    assert_eq!(versions, [2, 3, 1]);
}
