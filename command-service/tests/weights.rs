//! What has to be looked up for a command is bounded, however much the log holds and however little the
//! command itself weighs.

use std::sync::Arc;

use configapi_command_service::committer::Limits;
use configapi_domain::Position;
use configapi_event_log::{EventLog, PageLimit, Recorded, StoredEvent};
use configapi_proto::Reason;
use configapi_proto::v1::command::Action;
use configapi_proto::v1::restore_target::Moment;
use configapi_proto::v1::{
    ApplyRequest, Command, DeleteAction, RestoreAction, RestoreRequest, RestoreTarget, SetAction,
};
use futures_util::future::join_all;

use crate::faulty_log::FaultyLog;
use crate::support::{TestServer, memory_log, refusal, start_on};

const COMMIT_BYTES: usize = 1 << 20;
const LARGE_BYTES: usize = 50_000;

async fn start() -> (TestServer, Arc<FaultyLog>) {
    let log = FaultyLog::new(memory_log());
    (again_on(&log).await, log)
}

/// A server that knows no config yet.
async fn again_on(log: &Arc<FaultyLog>) -> TestServer {
    let limits = Limits { commit_bytes: COMMIT_BYTES, ..Limits::default() };
    start_on(log.clone(), limits).await
}

fn set(name: &str, value: &str) -> Command {
    let set = SetAction { value: value.to_owned(), ..SetAction::default() };
    Command { name: name.to_owned(), action: Some(Action::Set(set)), ..Command::default() }
}

fn restore(name: &str, moment: Moment) -> Command {
    let target = Some(RestoreTarget { moment: Some(moment) });
    let action = Some(Action::Restore(RestoreAction { target }));
    Command { name: name.to_owned(), action, ..Command::default() }
}

fn apply(commands: Vec<Command>) -> ApplyRequest {
    ApplyRequest { commands, ..ApplyRequest::default() }
}

async fn set_twice(server: &TestServer, name: &str) {
    server.set(name, &"1".repeat(LARGE_BYTES)).await.unwrap();
    server.set(name, &"2".repeat(LARGE_BYTES)).await.unwrap();
}

#[tokio::test]
async fn a_thousand_restores_of_a_large_value_are_refused_before_all_is_read() {
    let (server, log) = start().await;
    set_twice(&server, "a").await;
    let fillers = (0..1_000).map(|i| set(&format!("k{i}"), "1")).collect();
    server.client.clone().apply(apply(fillers)).await.unwrap();
    for validate_only in [false, true] {
        let read_before = log.past_bytes();
        let commands = (0..1_000).map(|i| restore("a", Moment::Position(2 + i))).collect();
        let request = ApplyRequest { validate_only, ..apply(commands) };
        let error = refusal(server.client.clone().apply(request).await);
        assert_eq!(error.reason, Reason::InvalidArgument);
        assert!(error.field_violations[0].description.contains("split"), "{error:?}");
        let read_bytes = log.past_bytes() - read_before;
        assert!(read_bytes < 3 * COMMIT_BYTES, "{read_bytes} bytes were read");
    }
}

/// Rows of the log have the value before beside the one that is asked for.
#[tokio::test]
async fn restores_that_fit_into_a_commit_are_made_though_what_is_read_for_them_would_not() {
    const CONFIGS: usize = 15;
    let (server, log) = start().await;
    let names: Vec<_> = (0..CONFIGS).map(|i| format!("k{i}")).collect();
    for name in &names {
        set_twice(&server, name).await;
        server.set(name, "small").await.unwrap();
    }
    let restores = names.iter().map(|name| restore(name, Moment::Version(2))).collect();
    server.client.clone().apply(apply(restores)).await.unwrap();
    assert!(log.past_bytes() > COMMIT_BYTES, "{} bytes were read", log.past_bytes());
    assert_eq!(server.events().await.len(), 4 * CONFIGS);
}

#[tokio::test]
async fn many_restores_to_one_moment_look_it_up_once() {
    let (server, log) = start().await;
    server.set("a", "1").await.unwrap();
    server.set("a", "2").await.unwrap();
    server.set("a", "3").await.unwrap();
    let restores = |count| apply(vec![restore("a", Moment::Version(1)); count]);
    server.client.clone().apply(restores(1)).await.unwrap();
    let read_bytes = log.past_bytes();
    server.client.clone().apply(restores(500)).await.unwrap();
    assert_eq!(log.past_bytes(), 2 * read_bytes);
}

/// The log keeps JSON, in which a control character takes six bytes.
#[tokio::test]
async fn events_weigh_what_they_take_in_the_log() {
    let (server, log) = start().await;
    let names: Vec<_> = (0..12).map(|i| format!("k{i}")).collect();
    for name in &names {
        server.set(name, &"\u{1}".repeat(LARGE_BYTES)).await.unwrap();
    }
    let delete = |name: &String| Command {
        name: name.clone(),
        action: Some(Action::Delete(DeleteAction {})),
        ..Command::default()
    };
    let error =
        refusal(server.client.clone().apply(apply(names.iter().map(delete).collect())).await);
    assert_eq!(error.reason, Reason::InvalidArgument, "{error:?}");
    let few = apply(names[..3].iter().map(delete).collect());
    server.client.clone().apply(few).await.unwrap();
    let page = log.read(Position::GENESIS, PageLimit::REPLAY).await.unwrap();
    let bytes: usize = page.events.iter().rev().take(3).map(StoredEvent::weight_bytes).sum();
    assert!(bytes > 3 * 6 * LARGE_BYTES && bytes < COMMIT_BYTES, "{bytes} bytes");
}

/// While they are looked up all other writes wait.
#[tokio::test]
async fn many_moments_are_looked_up_by_a_few_questions() {
    let (server, log) = start().await;
    for i in 0..500 {
        server.set("a", &i.to_string()).await.unwrap();
    }
    let moments = (1..=500).map(|i| match i % 2 {
        0 => Moment::Version(i),
        _ => Moment::Position(i),
    });
    let restores = moments.map(|moment| restore("a", moment)).collect();
    server.client.clone().apply(apply(restores)).await.unwrap();
    let questions = log.past_questions();
    assert!(questions <= 2, "{questions} questions");
    let value = |index: usize, events: &[Recorded]| {
        events[index].event.content().map(|content| content.value.as_str().to_owned())
    };
    let events = server.events().await;
    for i in 0..500 {
        assert_eq!(value(500 + i, &events), value(i, &events));
    }
}

#[tokio::test]
async fn restores_that_come_together_are_not_read_again_and_again() {
    let (server, log) = start().await;
    let names: Vec<_> = (0..100).map(|i| format!("k{i}")).collect();
    for name in &names {
        set_twice(&server, name).await;
    }
    log.close_gate().await;
    let calls: Vec<_> = names
        .iter()
        .map(|name| {
            let mut client = server.client.clone();
            let target = Some(RestoreTarget { moment: Some(Moment::Version(2)) });
            let request = RestoreRequest { name: name.clone(), target, ..Default::default() };
            tokio::spawn(async move { client.restore(request).await })
        })
        .collect();
    log.append_waits().await;
    log.open_gate();
    for call in join_all(calls).await {
        call.unwrap().unwrap();
    }
    let read_bytes = log.past_bytes();
    assert!(read_bytes < 4 * 100 * 2 * LARGE_BYTES, "{read_bytes} bytes were read");
}

/// What keyed Applies were answered first, and then when they were all repeated at once.
async fn repeated(server: &TestServer, log: &FaultyLog, requests: &[ApplyRequest]) {
    let send = |request: &ApplyRequest| {
        let (mut client, request) = (server.client.clone(), request.clone());
        tokio::spawn(async move { client.apply(request).await.unwrap().into_inner() })
    };
    let mut firsts = Vec::new();
    for request in requests {
        firsts.push(send(request).await.unwrap());
    }
    log.close_gate().await;
    let before = tokio::spawn({
        let mut client = server.client.clone();
        async move { client.set(crate::support::set_request("before", "1")).await }
    });
    log.append_waits().await;
    let calls: Vec<_> = requests.iter().map(send).collect();
    log.open_gate();
    before.await.unwrap().unwrap();
    for (call, first) in join_all(calls).await.into_iter().zip(firsts) {
        assert_eq!(call.unwrap(), first);
    }
}

/// Deletes so many large configs for good.
async fn delete_large(server: &TestServer, name: &str, size: usize) -> ApplyRequest {
    let mut commands = Vec::new();
    for i in 0..size {
        let name = format!("{name}/{i}");
        server.set(&name, &"1".repeat(LARGE_BYTES)).await.unwrap();
        let action = Some(Action::Delete(DeleteAction {}));
        commands.push(Command { name, action, ..Command::default() });
    }
    ApplyRequest { request_id: name.to_owned(), ..apply(commands) }
}

#[tokio::test]
async fn repeats_that_come_together_are_recalled_in_parts() {
    let (server, log) = start().await;
    for (commands, size) in [(100, 1), (9, 15)] {
        let mut requests = Vec::new();
        for i in 0..commands {
            requests.push(delete_large(&server, &format!("{size}/{i}"), size).await);
        }
        repeated(&server, &log, &requests).await;
        let recalled_bytes = log.most_recalled_bytes();
        let most_bytes = COMMIT_BYTES + size * (LARGE_BYTES + 1_000);
        assert!(recalled_bytes < most_bytes, "{recalled_bytes} bytes were recalled at once");
    }
}

#[tokio::test]
async fn what_large_configs_weigh_is_found_out_by_a_few_of_them() {
    let (server, log) = start().await;
    for i in 0..200 {
        server.set(&format!("k{i}"), &"1".repeat(LARGE_BYTES)).await.unwrap();
    }
    let cold = again_on(&log).await;
    let looked_up_before = log.look_ups().len();
    let commands = (0..200).map(|i| set(&format!("k{i}"), "2")).collect();
    let error = refusal(cold.client.clone().apply(apply(commands)).await);
    assert_eq!(error.reason, Reason::InvalidArgument);
    let looked_up = log.look_ups()[looked_up_before..].concat().len();
    assert!(looked_up <= 64, "{looked_up} configs were looked up");
}

#[tokio::test]
async fn large_configs_that_nobody_knows_are_written_however_many_come_together() {
    let (server, log) = start().await;
    let names: Vec<_> = (0..200).map(|i| format!("k{i}")).collect();
    for name in &names {
        server.set(name, &"1".repeat(LARGE_BYTES)).await.unwrap();
    }
    let cold = again_on(&log).await;
    log.close_gate().await;
    let calls: Vec<_> = names
        .iter()
        .map(|name| {
            let (server, name) = (cold.client.clone(), name.clone());
            let request = crate::support::set_request(&name, "2");
            tokio::spawn(async move { server.clone().set(request).await })
        })
        .collect();
    log.append_waits().await;
    log.open_gate();
    for call in join_all(calls).await {
        call.unwrap().unwrap();
    }
    assert_eq!(cold.events().await.len(), 400);
}
