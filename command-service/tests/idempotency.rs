//! One request id, one outcome, however often it is sent and through whichever server.

use std::sync::Arc;
use std::time::Duration;

use configapi_command_service::committer::Limits;
use configapi_domain::Timestamp;
use configapi_event_log::{EventLog, LogId, MemoryLog};
use configapi_proto::v1::command::Action;
use configapi_proto::v1::restore_target::Moment;
use configapi_proto::v1::{
    ApplyRequest, Command, DeleteRequest, RestoreRequest, RestoreTarget, SetAction, SetRequest,
};
use configapi_proto::{Reason, timestamp_from_micros};

use crate::faulty_log::FaultyLog;
use crate::support::{
    BEGINNING, copy_of, memory_log, reason, refusal, set_request, start, start_on,
};

fn keyed(id: &str, name: &str, value: &str) -> SetRequest {
    SetRequest { request_id: id.to_owned(), ..set_request(name, value) }
}

#[tokio::test]
async fn a_repeat_gets_the_first_receipt_and_writes_nothing() {
    let server = start().await;
    let first = server.set_with(keyed("one", "a", "1")).await.unwrap();
    server.set("a", "2").await.unwrap();
    let again = server.set_with(keyed("one", "a", "1")).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(server.events().await.len(), 2);
}

#[tokio::test]
async fn a_repeat_is_recognised_even_if_its_rule_would_break_now() {
    let server = start().await;
    let create = SetRequest { expected_version: Some(0), ..keyed("one", "a", "1") };
    let first = server.set_with(create.clone()).await.unwrap();
    assert_eq!(server.set_with(create.clone()).await.unwrap(), first);
    let delete = DeleteRequest {
        name: "a".to_owned(),
        request_id: "two".to_owned(),
        ..DeleteRequest::default()
    };
    let mut client = server.client.clone();
    let deleted = client.delete(delete.clone()).await.unwrap().into_inner();
    assert_eq!(client.delete(delete).await.unwrap().into_inner(), deleted);
    assert_eq!(server.set_with(create).await.unwrap(), first);
    assert_eq!(server.events().await.len(), 2);
}

#[tokio::test]
async fn the_same_id_for_something_else_is_refused() {
    let server = start().await;
    server.set_with(keyed("one", "a", "1")).await.unwrap();
    let others = [
        keyed("one", "a", "2"),
        keyed("one", "b", "1"),
        SetRequest { expected_version: Some(1), ..keyed("one", "a", "1") },
        SetRequest { content_type: "text/plain".to_owned(), ..keyed("one", "a", "1") },
        SetRequest { actor: "mallory".to_owned(), ..keyed("one", "a", "1") },
        SetRequest { reason: "another".to_owned(), ..keyed("one", "a", "1") },
        // What must not exist is more than what may or may not.
        SetRequest { expected_version: Some(0), ..keyed("one", "a", "1") },
    ];
    for other in others {
        let error = server.set_with(other).await.unwrap_err();
        assert_eq!(error.reason, Reason::RequestIdReused);
    }
    assert_eq!(server.events().await.len(), 1);
}

/// The largest number stands for no condition in what is kept of a request.
#[tokio::test]
async fn an_id_knows_no_condition_from_one_that_never_holds() {
    const NEVER: Option<u64> = Some(u64::MAX);
    let server = start().await;
    let first = server.set_with(keyed("one", "a", "1")).await.unwrap();
    let set = SetRequest { expected_version: NEVER, ..keyed("one", "a", "1") };
    assert_eq!(server.set_with(set).await.unwrap_err().reason, Reason::RequestIdReused);
    assert_eq!(server.set_with(keyed("one", "a", "1")).await.unwrap(), first);

    let mut client = server.client.clone();
    let (name, request_id) = ("a".to_owned(), "two".to_owned());
    let delete = DeleteRequest { name, request_id, ..DeleteRequest::default() };
    client.delete(delete.clone()).await.unwrap();
    let never = DeleteRequest { expected_version: NEVER, ..delete };
    assert_eq!(reason(client.delete(never).await), Reason::RequestIdReused);

    let new = SetRequest { expected_version: NEVER, ..keyed("three", "b", "1") };
    assert_eq!(server.set_with(new).await.unwrap_err().reason, Reason::VersionConflict);
    assert_eq!(server.events().await.len(), 2);
}

#[tokio::test]
async fn an_id_knows_who_asked_from_why() {
    let server = start().await;
    let by = |actor: &str, reason: &str| SetRequest {
        actor: actor.to_owned(),
        reason: reason.to_owned(),
        ..keyed("one", "a", "1")
    };
    server.set_with(by("ada", "lovelace")).await.unwrap();
    for other in [by("", "adalovelace"), by("adalovelace", ""), by("adal", "ovelace")] {
        let error = server.set_with(other).await.unwrap_err();
        assert_eq!(error.reason, Reason::RequestIdReused);
    }
}

#[tokio::test]
async fn an_id_knows_one_moment_from_another() {
    let server = start().await;
    server.set("a", "1").await.unwrap();
    let moments = |number: u8| {
        let time = timestamp_from_micros(number.into());
        [Moment::Position(number.into()), Moment::Time(time)]
    };
    let restore = async |id: &str, moment: Option<Moment>| {
        let request = RestoreRequest {
            name: "a".to_owned(),
            request_id: id.to_owned(),
            target: moment.map(|moment| RestoreTarget { moment: Some(moment) }),
            ..RestoreRequest::default()
        };
        server.client.clone().restore(request).await
    };
    restore("version", Some(Moment::Version(1))).await.unwrap();
    let mut client = server.client.clone();
    let delete = DeleteRequest { name: "a".to_owned(), ..DeleteRequest::default() };
    client.delete(delete.clone()).await.unwrap();
    restore("last", None).await.unwrap();
    let another = refusal(restore("version", Some(Moment::Version(2))).await);
    assert_eq!(another.reason, Reason::RequestIdReused);
    // The same number each time, and none is as good as 0.
    for (id, number) in [("version", 1), ("last", 0)] {
        for moment in moments(number) {
            let refused = refusal(restore(id, Some(moment)).await);
            assert_eq!(refused.reason, Reason::RequestIdReused, "{id}: {moment:?}");
        }
        let delete = DeleteRequest { request_id: id.to_owned(), ..delete.clone() };
        assert_eq!(refusal(client.delete(delete).await).reason, Reason::RequestIdReused, "{id}");
    }
    assert_eq!(server.events().await.len(), 4);
}

#[tokio::test]
async fn a_refused_command_does_not_use_up_its_id() {
    let server = start().await;
    let set = SetRequest { expected_version: Some(1), ..keyed("one", "a", "2") };
    let error = server.set_with(set.clone()).await.unwrap_err();
    assert_eq!(error.reason, Reason::VersionConflict);
    server.set("a", "1").await.unwrap();
    assert_eq!(server.set_with(set).await.unwrap().version, 2);
}

#[tokio::test]
async fn a_validation_knows_what_its_id_was_used_for() {
    let server = start().await;
    let create = SetRequest { expected_version: Some(0), ..keyed("one", "a", "1") };
    let validation = |request: &SetRequest| SetRequest { validate_only: true, ..request.clone() };
    let would_be = server.set_with(validation(&create)).await.unwrap();
    assert_eq!((would_be.version, would_be.position), (1, 0));
    let first = server.set_with(create.clone()).await.unwrap();
    assert_eq!(server.set_with(validation(&create)).await.unwrap(), first);
    for other in [keyed("one", "b", "1"), keyed("one", "a", "2")] {
        let error = server.set_with(validation(&other)).await.unwrap_err();
        assert_eq!(error.reason, Reason::RequestIdReused);
    }
    assert_eq!(server.events().await.len(), 1);
}

#[tokio::test]
async fn sixteen_callers_with_one_id_get_sixteen_equal_receipts_for_one_event() {
    let log = memory_log();
    let servers =
        [start_on(log.clone(), Limits::default()).await, start_on(log, Limits::default()).await];
    let calls: Vec<_> = (0..16)
        .map(|caller| {
            let mut client = servers[caller % 2].client.clone();
            tokio::spawn(async move { client.set(keyed("one", "a", "1")).await })
        })
        .collect();
    let mut receipts = Vec::new();
    for call in calls {
        receipts.push(call.await.unwrap().unwrap().into_inner());
    }
    assert!(receipts.windows(2).all(|pair| pair[0] == pair[1]), "{receipts:?}");
    assert_eq!(servers[0].events().await.len(), 1);
}

#[tokio::test]
async fn an_apply_is_repeatable_as_a_whole() {
    let server = start().await;
    let set = |name: &str| Command {
        name: name.to_owned(),
        action: Some(Action::Set(SetAction { value: "1".to_owned(), ..SetAction::default() })),
        expected_version: Some(0),
        ..Command::default()
    };
    let request = ApplyRequest {
        commands: vec![set("a"), set("b"), set("c")],
        request_id: "one".to_owned(),
        ..ApplyRequest::default()
    };
    let mut client = server.client.clone();
    let first = client.apply(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.apply(request).await.unwrap().into_inner(), first);
    assert_eq!(first.receipts.len(), 3);
    assert_eq!(server.events().await.len(), 3);
}

fn apply_of(names: &[String]) -> ApplyRequest {
    let set = |name: &String| Command {
        name: name.clone(),
        action: Some(Action::Set(SetAction { value: "1".to_owned(), ..SetAction::default() })),
        ..Command::default()
    };
    let commands = names.iter().map(set).collect();
    ApplyRequest { commands, request_id: "one".to_owned(), ..ApplyRequest::default() }
}

#[tokio::test]
async fn an_apply_is_repeatable_however_large_its_configs_have_become() {
    let limits = Limits { commit_bytes: 100_000, load_streams: 2, ..Limits::default() };
    let log = memory_log();
    let server = start_on(log.clone(), limits).await;
    let names: Vec<_> = (0..8).map(|i| format!("k{i}")).collect();
    let request = apply_of(&names);
    let first = server.client.clone().apply(request.clone()).await.unwrap().into_inner();
    for name in &names {
        server.set(name, &"x".repeat(60_000)).await.unwrap();
    }
    // One that knows them all, and one that finds out what they weigh when it looks them up.
    for server in [server, start_on(log, limits).await] {
        let again = server.client.clone().apply(request.clone()).await.unwrap().into_inner();
        assert_eq!(again, first);
        let new = ApplyRequest { request_id: "two".to_owned(), ..request.clone() };
        let error = refusal(server.client.clone().apply(new).await);
        assert_eq!(error.reason, Reason::InvalidArgument);
        let other = ApplyRequest { reason: "another".to_owned(), ..request.clone() };
        let error = refusal(server.client.clone().apply(other).await);
        assert_eq!(error.reason, Reason::RequestIdReused);
        assert_eq!(server.events().await.len(), 16);
    }
}

/// Between the two an epoch began, of which the server that is asked knows nothing yet.
#[tokio::test]
async fn a_repeat_is_told_the_epoch_that_it_was_written_in() {
    let requests = [
        keyed("plain", "b", "1"),
        SetRequest { expected_version: Some(0), ..keyed("created", "b", "1") },
        SetRequest { expected_version: Some(1), ..keyed("changed", "a", "2") },
    ];
    for request in requests {
        let log = memory_log();
        let one = start_on(log.clone(), Limits::default()).await;
        one.set("a", "1").await.unwrap();
        log.begin_epoch(&log.head().await.unwrap()).await.unwrap();
        let two = start_on(log, Limits::default()).await;
        let first = two.set_with(request.clone()).await.unwrap();
        assert!(first.token.starts_with("2-"), "{first:?}");
        assert_eq!(one.set_with(request).await.unwrap(), first);
    }
}

/// It begins between the two questions with which a server finds its place in the log.
#[tokio::test]
async fn a_repeat_is_told_its_epoch_though_that_began_while_the_server_came_to_the_log() {
    let log = FaultyLog::new(memory_log());
    log.begin_epoch_after_identity();
    let server = start_on(log, Limits::default()).await;
    let first = server.set_with(keyed("one", "a", "1")).await.unwrap();
    assert!(first.token.starts_with("2-"), "{first:?}");
    assert_eq!(server.set_with(keyed("one", "a", "1")).await.unwrap(), first);
}

/// A server that lost a race reads on within its turn, and decides there.
#[tokio::test]
async fn a_repeat_is_told_its_epoch_by_a_server_that_heard_of_it_in_its_turn() {
    let limits = Limits { probe_every: Duration::from_mins(10), ..Limits::default() };
    let log = memory_log();
    let (one, two) = (start_on(log.clone(), limits).await, start_on(log.clone(), limits).await);
    one.set("a", "1").await.unwrap();
    two.set("a", "2").await.unwrap();
    one.set("a", "3").await.unwrap();
    log.begin_epoch(&log.head().await.unwrap()).await.unwrap();
    let create = SetRequest { expected_version: Some(0), ..keyed("one", "b", "1") };
    let first = start_on(log, limits).await.set_with(create.clone()).await.unwrap();
    assert!(first.token.starts_with("2-"), "{first:?}");
    assert_eq!(one.set_with(create).await.unwrap(), first);
}

/// A failover lost some of what it knew, and another one has written since.
#[tokio::test]
async fn a_repeat_is_told_its_epoch_by_a_server_that_has_not_heard_of_it() {
    let limits = Limits { probe_every: Duration::from_mins(10), ..Limits::default() };
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), limits).await;
    server.set("a", "1").await.unwrap();
    let survivor = copy_of(&*log).await;
    server.set("a", "2").await.unwrap();
    survivor.begin_epoch(&survivor.head().await.unwrap()).await.unwrap();
    let create = SetRequest { expected_version: Some(0), ..keyed("one", "b", "1") };
    let first = start_on(survivor.clone(), limits).await.set_with(create.clone()).await.unwrap();
    assert_eq!(first.token, "2-2");
    log.replace_by(survivor);
    assert_eq!(server.set_with(create).await.unwrap(), first);
}

#[tokio::test]
async fn what_another_log_holds_is_no_answer_to_a_repeat() {
    let limits = Limits { probe_every: Duration::from_mins(10), ..Limits::default() };
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), limits).await;
    server.set("a", "1").await.unwrap();
    let id = LogId(uuid::Uuid::from_u128(7));
    let others = Arc::new(MemoryLog::new(id, Timestamp(BEGINNING)));
    let create = SetRequest { expected_version: Some(0), ..keyed("one", "b", "1") };
    start_on(others.clone(), limits).await.set_with(create.clone()).await.unwrap();
    log.replace_by(others);
    assert_eq!(server.set_with(create).await.unwrap_err().reason, Reason::LogChanged);
}

#[tokio::test]
async fn what_is_lost_while_it_is_looked_up_is_no_answer_to_a_repeat() {
    let limits = Limits { probe_every: Duration::from_mins(10), ..Limits::default() };
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), limits).await;
    server.set("a", "1").await.unwrap();
    log.looked_up().await;
    let survivor = copy_of(&*log).await;
    survivor.begin_epoch(&survivor.head().await.unwrap()).await.unwrap();
    let mut other = start_on(log.inner(), limits).await.client;
    let delete = DeleteRequest { name: "a".to_owned(), ..DeleteRequest::default() };
    other.delete(delete).await.unwrap();
    let restore = RestoreRequest {
        name: "a".to_owned(),
        request_id: "one".to_owned(),
        ..RestoreRequest::default()
    };
    other.restore(restore.clone()).await.unwrap();

    log.hold_look_ups().await;
    let mut client = server.client.clone();
    let (answer, ()) = tokio::join!(client.restore(restore), async {
        log.looked_up().await;
        log.replace_by(survivor);
        log.let_look_ups_go();
    });
    assert_eq!(refusal(answer).reason, Reason::RestoreRefused);
}

/// The log did not have its id when it was asked, but had it by when a refusal could have been true.
#[tokio::test]
async fn who_is_refused_after_another_server_did_the_same_meanwhile_gets_its_receipt() {
    let log = FaultyLog::new(memory_log());
    let one = start_on(log.clone(), Limits::default()).await;
    let two = start_on(log.inner(), Limits::default()).await;
    one.set("a", "1").await.unwrap();
    log.looked_up().await;
    log.hold_look_ups().await;
    let keyed = SetRequest { expected_version: Some(2), ..keyed("one", "a", "3") };
    let mut client = one.client.clone();
    let answer = tokio::spawn({
        let keyed = keyed.clone();
        async move { client.set(keyed).await }
    });
    log.looked_up().await;
    two.set("a", "2").await.unwrap();
    let receipt = two.set_with(keyed).await.unwrap();
    log.let_look_ups_go();
    assert_eq!(answer.await.unwrap().unwrap().into_inner().receipt, Some(receipt));
    assert_eq!(one.events().await.len(), 3);
}
