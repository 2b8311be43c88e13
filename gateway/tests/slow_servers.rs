//! Query servers that answer, but late, and some that do not answer at all.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use configapi_gateway::UpstreamSettings;
use configapi_runtime::http::HttpLimits;
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
