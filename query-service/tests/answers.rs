//! Every read equals a naive fold of the log, at every position of every history.

use std::sync::Arc;

use configapi_domain::ConfigKey;
use configapi_event_log::Recorded;

use configapi_proto::v1::query_service_server::QueryService as _;
use configapi_proto::v1::{
    AtTimeRequest, DiffRequest, GetRequest, GetResponse, HistoryOrder, HistoryRequest, ListRequest,
    PointInTime, at_time_request, point_in_time,
};
use configapi_proto::{Reason, timestamp_from_micros};
use proptest::prelude::*;
use tonic::{Request, Response, Status};

use crate::oracle;
use crate::support::{Op, Server, Writer, at_least, key, memory_log, reason_of};

const KEYS: [&str; 6] =
    ["default/a", "default/a/b", "default/ab", "other/a", "zoo/a/b", "default/Z"];

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..3_u8).prop_map(|value| Op::Set(format!("value {value}"))),
        1 => (0..2_u8).prop_map(|value| Op::SetTyped(format!("{value}"), "text/plain".to_owned())),
        2 => Just(Op::Delete),
        1 => Just(Op::Restore(None)),
        2 => (1..6_u64).prop_map(|version| Op::Restore(Some(version))),
    ]
}

fn commands() -> impl Strategy<Value = Vec<Vec<(usize, Op)>>> {
    let wish = (0..KEYS.len(), op());
    prop::collection::vec(prop::collection::vec(wish, 1..5), 1..14)
}

fn at_position(position: u64) -> PointInTime {
    PointInTime { moment: Some(point_in_time::Moment::Position(position)) }
}

fn at_micros(micros: i64) -> PointInTime {
    PointInTime { moment: Some(point_in_time::Moment::Time(timestamp_from_micros(micros))) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_read_equals_a_naive_fold_of_a_prefix_of_the_log(commands in commands()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let log = memory_log(1);
            let mut writer = Writer::new(log.clone()).await;
            let (early, late) = commands.split_at(commands.len() / 2);
            write(&mut writer, early).await;
            // The first half is replayed, the second half is followed live.
            let server = Server::ready(log.clone()).await;
            write(&mut writer, late).await;
            let state_hash = server.state_hash(&writer.token()).await;
            check(&server, &writer.written).await;

            let replayed = Server::ready(log).await;
            prop_assert_eq!(state_hash, replayed.state_hash(&writer.token()).await);
            Ok(())
        })?;
    }
}

async fn write(writer: &mut Writer, commands: &[Vec<(usize, Op)>]) {
    for command in commands {
        let ops = command.iter().map(|(index, op)| (key(KEYS[*index]), op.clone())).collect();
        writer.commit(ops).await;
    }
}

async fn check(server: &Server, log: &[Recorded]) {
    let head = log.len() as u64;
    for position in 0..=head {
        let end = oracle::command_end(log, position);
        check_gets(server, log, position, end).await;
        check_lists(server, log, at_position(position), end).await;
        for other in [0, head / 2, head] {
            check_diff(server, log, position, other).await;
        }
    }
    for event in log {
        let time = event.recorded_at;
        let last = log.iter().rfind(|it| it.recorded_at <= time).unwrap().position.0;
        check_lists(server, log, at_micros(time.0), last).await;
        let before = log.iter().rfind(|it| it.recorded_at.0 < time.0).map_or(0, |it| it.position.0);
        check_lists(server, log, at_micros(time.0 - 1), before).await;
    }
    for stream in KEYS {
        check_history(server, log, &key(stream)).await;
    }
}

async fn check_gets(server: &Server, log: &[Recorded], position: u64, end: u64) {
    let expected = oracle::configs(log, end);
    for stream in KEYS {
        let (namespace, name) = stream.split_once('/').unwrap();
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let at = Some(at_position(position));
        let request =
            GetRequest { namespace: namespace.clone(), name: name.clone(), at, consistency: None };
        let within = server.service.within().get(Request::new(request.clone())).await;
        let answer = server.client.clone().get(Request::new(request)).await;
        assert_eq!(within.ok().map(Response::into_inner).as_ref(), told(&answer), "{stream}");
        match (expected.get(&(namespace, name)), answer) {
            (Some(config), Ok(answer)) => {
                let answer = answer.into_inner();
                assert_eq!(answer.config.as_ref(), Some(config));
                assert_eq!(answer.state.unwrap().position, end);
            }
            (None, Err(status)) => assert_eq!(reason_of(&status), Reason::ConfigNotFound),
            (expected, answer) => panic!("{stream} at {position}: {expected:?}, not {answer:?}"),
        }
    }
}

fn told(answer: &Result<Response<GetResponse>, Status>) -> Option<&GetResponse> {
    answer.as_ref().ok().map(Response::get_ref)
}

async fn check_lists(server: &Server, log: &[Recorded], at: PointInTime, end: u64) {
    let expected = oracle::configs(log, end);
    for (namespace, prefix) in
        [("default", ""), ("default", "a"), ("default", "a/"), ("other", ""), ("", "Z")]
    {
        let request = ListRequest {
            namespace: namespace.to_owned(),
            prefix: prefix.to_owned(),
            at: Some(at.clone()),
            ..ListRequest::default()
        };
        let answer = server.list(request).await.unwrap();
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        let matching: Vec<_> = expected
            .values()
            .filter(|it| it.namespace == namespace && it.name.starts_with(prefix))
            .cloned()
            .collect();
        assert_eq!(answer.configs, matching, "{namespace} {prefix} {at:?}");
        assert_eq!(answer.state.unwrap().position, end);
        assert_eq!(answer.next_page_token, "");
    }
    for prefix in ["", "a", "a/b", "b"] {
        let request = AtTimeRequest {
            at: Some(at.clone()),
            all_namespaces: true,
            selection: Some(at_time_request::Selection::Prefix(prefix.to_owned())),
            ..AtTimeRequest::default()
        };
        let answer =
            server.client.clone().at_time(Request::new(request)).await.unwrap().into_inner();
        let matching: Vec<_> =
            expected.values().filter(|it| it.name.starts_with(prefix)).cloned().collect();
        assert_eq!(answer.configs, matching, "all, {prefix}, {at:?}");
    }
}

async fn check_diff(server: &Server, log: &[Recorded], from: u64, to: u64) {
    let request = DiffRequest {
        from: Some(at_position(from)),
        to: Some(at_position(to)),
        all_namespaces: true,
        ..DiffRequest::default()
    };
    let answer = server.client.clone().diff(Request::new(request)).await.unwrap().into_inner();
    let (from, to) = (oracle::command_end(log, from), oracle::command_end(log, to));
    assert_eq!(answer.entries, oracle::diff(log, from, to), "{from} to {to}");
    assert_eq!(answer.from_state.unwrap().position, from);
    assert_eq!(answer.to_state.unwrap().position, to);
}

async fn check_history(server: &Server, log: &[Recorded], key: &ConfigKey) {
    let mut expected = oracle::history(log, log.len() as u64, key);
    let request = |order: HistoryOrder| HistoryRequest {
        namespace: key.namespace().to_owned(),
        name: key.name().to_owned(),
        order: order.into(),
        ..HistoryRequest::default()
    };
    let oldest_first = server.history(request(HistoryOrder::Unspecified)).await.unwrap();
    assert_eq!(oldest_first, expected);
    expected.reverse();
    let newest_first = server.history(request(HistoryOrder::NewestFirst)).await.unwrap();
    assert_eq!(newest_first, expected);
}

#[tokio::test]
async fn a_config_that_was_deleted_says_so() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/limit", "1").await;
    let token = writer.delete("default/limit").await;
    let server = Server::ready(log).await;

    let status = server.get("default/limit", Some(at_least(&token))).await.unwrap_err();
    let error = configapi_proto::ApiError::from_status(&status);
    assert_eq!(error.reason, Reason::ConfigNotFound);
    assert_eq!(error.metadata.get("deleted").map(String::as_str), Some("true"));
    assert_eq!(error.metadata.get("deleted_version").map(String::as_str), Some("2"));
    assert_eq!(error.metadata.get("token"), Some(&token.clone()));
    let never = server.get("default/other", None).await.unwrap_err();
    assert_eq!(configapi_proto::ApiError::from_status(&never).metadata.get("deleted"), None);
}

#[tokio::test]
async fn a_name_that_could_not_exist_is_an_invalid_argument() {
    let server = Server::ready(memory_log(1)).await;
    for stream in ["default/a//b", "default/", "Default/a", "default/../a"] {
        let status = server.get(stream, None).await.unwrap_err();
        assert_eq!(reason_of(&status), Reason::InvalidArgument, "{stream}");
    }
}

#[tokio::test]
async fn the_status_counts_what_is_held() {
    let log = memory_log(7);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/a", "1").await;
    writer.set("other/a", "1").await;
    writer.set("third/a", "1").await;
    let token = writer.delete("third/a").await;
    let server = Server::ready(Arc::clone(&log) as _).await;
    server.value("default/a", &token).await;

    let status = server.status().await;
    assert!(status.ready);
    assert_eq!(status.log_id, uuid::Uuid::from_u128(7).to_string());
    assert_eq!((status.live_configs, status.deleted_configs), (2, 1));
    assert_eq!((status.versions, status.namespaces), (4, 2));
    assert_eq!((status.head_position, status.lag_events), (4, 0));
    assert_eq!(status.state_hash, None);
}
