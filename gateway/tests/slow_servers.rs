//! Query servers that answer, but late, and some that do not answer at all.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use configapi_gateway::UpstreamSettings;
use configapi_runtime::http::HttpLimits;
use futures_util::future::join_all;
use tokio::net::TcpListener;

use crate::support::{
    Ask, CommandServer, QueryServer, TestApp, eventually, memory_log, patient_gateway_at,
    slow_way_to,
};

/// One way; there and back is more than a probe may take of a server that is quick.
const DELAY: Duration = Duration::from_millis(550);
const PATIENCE: Duration = Duration::from_secs(20);

async fn gateway(commands: &CommandServer, queries: &[SocketAddr]) -> TestApp {
    let url = |address: &SocketAddr| format!("http://{address}").parse().expect("a URL");
    let query_url = queries.iter().map(url).collect();
    let settings = UpstreamSettings { command_url: commands.url(), query_url };
    patient_gateway_at(&settings, HttpLimits::default(), PATIENCE).await
}

#[tokio::test]
async fn a_gateway_is_ready_as_long_as_its_reads_are_answered_however_late() {
    let log = memory_log();
    let commands = CommandServer::start(&log, None).await;
    let queries = QueryServer::start(&log, None).await;
    let app = gateway(&commands, &[slow_way_to(queries.address(), DELAY).await]).await;
    app.set("a", "1").await;
    let began = Instant::now();
    // Some that are on their way while several probes are late.
    while began.elapsed() < 5 * DELAY {
        let got = app.get("/v1/config/a").got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "1"));
        let ready = app.get("/readyz").got().await;
        assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    }
}

#[tokio::test]
async fn reads_go_to_the_quick_server_while_there_is_one() {
    let log = memory_log();
    let commands = CommandServer::start(&log, None).await;
    let (far, near) = (QueryServer::start(&log, None).await, QueryServer::start(&log, None).await);
    let slow = slow_way_to(far.address(), DELAY).await;
    let app = gateway(&commands, &[slow, near.address()]).await;
    app.set("a", "1").await;
    eventually(async || {
        let began = Instant::now();
        for _ in 0..10 {
            assert_eq!(app.get("/v1/config/a").got().await.body, "1");
        }
        began.elapsed() < DELAY
    })
    .await;
    near.kill().await;
    let got = app.get("/v1/config/a").got().await;
    assert_eq!((got.status, got.body.as_str()), (200, "1"), "the other one is there still");
    assert_eq!(app.get("/readyz").got().await.status, 200);
}

#[tokio::test]
async fn a_gateway_says_whether_its_servers_are_silent_or_away() {
    let log = memory_log();
    let commands = CommandServer::start(&log, None).await;
    let readiness = async |app: &TestApp, wanted: &str| {
        eventually(async || app.get("/readyz").got().await.status == 503).await;
        assert_eq!(app.get("/readyz").got().await.body, wanted);
    };
    // Connections are made, but nobody takes them.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let app = gateway(&commands, &[silent.local_addr().expect("an address")]).await;
    readiness(&app, "no query server answers within 3 s\n").await;
    drop(silent);
    eventually(async || app.get("/readyz").got().await.body == "no query server can be reached\n")
        .await;
}

/// One that has yet to get where a client was takes no more of the time than is left over for others.
#[tokio::test]
async fn a_server_that_is_behind_leaves_time_to_ask_one_that_is_far_away() {
    const TIMEOUT: Duration = Duration::from_secs(4);
    let log = memory_log();
    let commands = CommandServer::start(&log, None).await;
    let far = QueryServer::start(&log, None).await;
    let behind = QueryServer::start(&memory_log(), None).await;
    let near = gateway(&commands, &[far.address()]).await;
    for name in ["a", "b"] {
        near.set(name, "1").await;
        near.set(name, "2").await;
    }
    let mut paths: Vec<_> = ["/v1/config/a?at=1-4", "/v1/config?at=4", "/v1/diff?from=0&to=4"]
        .map(str::to_owned)
        .into();
    for list in ["/v1/config?limit=1", "/v1/config/a/history?limit=1", "/v1/diff?from=0&limit=1"] {
        let first = near.get(list).got().await;
        let (next, _) = first.header("link").trim_start_matches('<').split_once('>').expect("more");
        paths.push(next.to_owned());
    }
    let slow = slow_way_to(far.address(), DELAY).await;
    let asked = paths.iter().map(async |path| {
        // It knows nothing of its servers yet, and asks them in their order.
        let url = |address: SocketAddr| format!("http://{address}").parse().expect("a URL");
        let query_url = vec![url(behind.address()), url(slow)];
        let settings = UpstreamSettings { command_url: commands.url(), query_url };
        let app = patient_gateway_at(&settings, HttpLimits::default(), TIMEOUT).await;
        (path, app.get(path).got().await.status)
    });
    for (path, status) in join_all(asked).await {
        assert_eq!(status, 200, "{path}");
    }
}
