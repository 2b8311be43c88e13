//! Group commit: what queues up together is written together, and one guilty command never hurts
//! its neighbours.

use std::sync::Arc;

use configapi_command_service::committer::Limits;
use configapi_proto::Reason;
use configapi_proto::v1::SetRequest;
use tokio::task::JoinHandle;

use crate::ahead::{Stage, set_to};
use crate::faulty_log::FaultyLog;
use crate::support::{TestServer, memory_log, set_request, start_on};

type Calls =
    Vec<JoinHandle<Result<tonic::Response<configapi_proto::v1::SetResponse>, tonic::Status>>>;

/// Sends requests so that they all queue up behind one commit that waits.
async fn send_together(
    server: &TestServer,
    log: &Arc<FaultyLog>,
    requests: Vec<SetRequest>,
) -> Calls {
    log.close_gate().await;
    let spawn = |request: SetRequest| {
        let mut client = server.client.clone();
        tokio::spawn(async move { client.set(request).await })
    };
    let calls = requests.into_iter().map(spawn).collect();
    tokio::task::yield_now().await;
    log.open_gate();
    calls
}

async fn start_gated() -> (TestServer, Arc<FaultyLog>) {
    start_gated_with(Limits::default()).await
}

async fn start_gated_with(limits: Limits) -> (TestServer, Arc<FaultyLog>) {
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), limits).await;
    server.set("warm-up", "1").await.unwrap();
    (server, log)
}

#[tokio::test]
async fn many_commands_on_one_hot_config_share_commits() {
    let (server, log) = start_gated().await;
    let requests = (0..200).map(|i| set_request("hot", &i.to_string())).collect();
    let mut versions = Vec::new();
    for call in send_together(&server, &log, requests).await {
        versions.push(call.await.unwrap().unwrap().into_inner().receipt.unwrap().version);
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=200).collect::<Vec<_>>());
    server.events().await;
    assert!(log.appended().len() < 100, "{:?}", log.appended());
}

#[tokio::test]
async fn a_group_has_bounds_however_many_wait() {
    const VALUE_BYTES: usize = 1_000;
    let by_submissions = Limits { batch_submissions: 4, ..Limits::default() };
    let by_commands = Limits { batch_commands: 4, ..Limits::default() };
    let by_bytes = Limits { batch_bytes: 4 * VALUE_BYTES, ..Limits::default() };
    for limits in [by_submissions, by_commands, by_bytes] {
        let (server, log) = start_gated_with(limits).await;
        let value = "v".repeat(VALUE_BYTES);
        let requests = (0..200).map(|i| set_request(&format!("k{i}"), &value)).collect();
        for call in send_together(&server, &log, requests).await {
            call.await.unwrap().unwrap();
        }
        let groups = log.appended();
        assert_eq!(groups.iter().sum::<usize>(), 201);
        assert!(groups.iter().all(|rows| *rows <= 4), "{groups:?}");
    }
}

#[tokio::test]
async fn of_many_with_one_expected_version_one_wins() {
    let (server, log) = start_gated().await;
    let requests = (0..50)
        .map(|i| SetRequest { expected_version: Some(0), ..set_request("a", &i.to_string()) })
        .collect();
    let mut winners = 0;
    for call in send_together(&server, &log, requests).await {
        match call.await.unwrap() {
            Ok(_) => winners += 1,
            refused => {
                let reason = crate::support::reason(refused);
                assert_eq!(reason, Reason::VersionConflict);
            }
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(server.events().await.len(), 2);
}

#[tokio::test]
async fn a_command_that_the_store_refuses_stands_alone_in_the_end() {
    let (server, log) = start_gated().await;
    log.refuse("poison");
    let requests = (0..64)
        .map(|i| set_request(&format!("k{i}"), if i == 37 { "poison" } else { "fine" }))
        .collect();
    let mut refused = Vec::new();
    for (i, call) in send_together(&server, &log, requests).await.into_iter().enumerate() {
        if let Err(status) = call.await.unwrap() {
            refused.push((i, configapi_proto::ApiError::from_status(&status).reason));
        }
    }
    assert_eq!(refused, [(37, Reason::Internal)]);
    assert_eq!(server.events().await.len(), 64);
}

#[tokio::test]
async fn once_the_guilty_one_is_found_the_others_share_commits_again() {
    let stage = Stage::new().await;
    stage.log.refuse("poison");
    let value = |i| if i == 20 { "poison" } else { "fine" };
    let others = (0..200).map(|i| set_to(&format!("k{i}"), None, value(i))).collect();
    let answers = stage.behind_a_commit(others).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 200);
    // One by itself from the beginning, one that the others wait for, and all but the guilty one.
    let groups = stage.log.appended();
    assert_eq!(groups.iter().sum::<usize>(), 1 + 1 + 199);
    assert!(groups.len() < 20, "{groups:?}");
}

#[tokio::test]
async fn refused_commands_leave_no_hole_among_their_neighbours() {
    let (server, log) = start_gated().await;
    let requests = (0..60)
        .map(|i| {
            let expected_version = (i % 3 == 0).then_some(9);
            SetRequest { expected_version, ..set_request(&format!("k{i}"), "1") }
        })
        .collect();
    let mut accepted = 0;
    for call in send_together(&server, &log, requests).await {
        accepted += usize::from(call.await.unwrap().is_ok());
    }
    assert_eq!(accepted, 40);
    assert_eq!(server.events().await.len(), 41);
}
