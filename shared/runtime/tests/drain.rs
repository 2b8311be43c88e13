//! How a server ends: what was begun is finished, what does not end is cut off in time.

use std::time::Duration;

use configapi_runtime::{grpc::GrpcLimits, shutdown::Exit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

use super::support::{Caller, GET, TestServer, WATCH, soon, until};

/// Longer than any test waits.
const PATIENCE: Duration = Duration::from_hours(1);

async fn with_drain_limit(drain_limit: Duration) -> TestServer {
    TestServer::with(GrpcLimits::default(), drain_limit).await
}

#[tokio::test]
async fn a_call_in_flight_is_answered_before_the_server_ends() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let asked = tokio::spawn(caller.begin(GET, "wait at the gate", &[]));
    until(|| server.probe.calls() == 1).await;
    server.life.begin_shutdown("the test says so");
    // The listener is closed before the call in flight is answered.
    until(|| std::net::TcpListener::bind(server.address).is_ok()).await;
    server.probe.open_gate();
    let answer = soon(asked).await.expect("no panic").collect().await;
    assert_eq!(answer.code(), Code::Ok);
    assert_eq!(server.finished().await, Exit::Clean);
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    assert_eq!(caller.ask(GET, "hello", &[]).await.code(), Code::Ok);
    server.life.begin_shutdown("the test says so");
    caller.closed().await;
    assert_eq!(server.finished().await, Exit::Clean);
}

#[tokio::test]
async fn a_silent_connection_does_not_hold_up_the_end() {
    let server = TestServer::start().await;
    let _silent = TcpStream::connect(server.address).await.expect("a connection");
    until(|| server.metric(r#"configapi_connections{server="probe"}"#) == Some(1.0)).await;
    server.life.begin_shutdown("the test says so");
    assert_eq!(server.finished().await, Exit::Clean);
}

#[tokio::test]
async fn a_frozen_connection_does_not_hold_up_the_end() {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for said in [[preface, SETTINGS].concat(), preface[..10].to_vec()] {
        let server = with_drain_limit(PATIENCE).await;
        let mut frozen = TcpStream::connect(server.address).await.expect("a connection");
        frozen.write_all(&said).await.expect("written");
        until(|| server.metric(r#"configapi_connections{server="probe"}"#) == Some(1.0)).await;
        // A call of another, so that the first words of this one have been heard too.
        assert_eq!(server.caller().await.ask(GET, "hello", &[]).await.code(), Code::Ok);
        server.life.begin_shutdown("the test says so");
        assert_eq!(server.finished().await, Exit::Clean);
    }
}

#[tokio::test]
async fn a_call_that_takes_its_time_is_no_reason_to_go() {
    let server = with_drain_limit(PATIENCE).await;
    let caller = server.caller().await;
    let asked = tokio::spawn(caller.begin(GET, "wait at the gate", &[]));
    until(|| server.probe.calls() == 1).await;
    let mut frozen = TcpStream::connect(server.address).await.expect("a connection");
    frozen.write_all(b"PRI").await.expect("written");
    until(|| server.metric(r#"configapi_connections{server="probe"}"#) == Some(2.0)).await;
    server.life.begin_shutdown("the test says so");
    // When the frozen one is gone, so would be the other if it were taken for frozen.
    soon(frozen.read_to_end(&mut Vec::new())).await.expect("it is closed");
    server.probe.open_gate();
    let answer = soon(asked).await.expect("no panic").collect().await;
    assert_eq!(answer.code(), Code::Ok);
    assert_eq!(server.finished().await, Exit::Clean);
}

#[tokio::test]
async fn a_stream_that_does_not_end_is_cut_off_when_the_drain_limit_is_over() {
    let server = with_drain_limit(Duration::from_millis(50)).await;
    let caller = server.caller().await;
    let mut stream = caller.open(WATCH, "hang", &[]).await;
    stream.next().await;
    server.life.begin_shutdown("the test says so");
    assert!(stream.breaks_off().await);
    assert_eq!(server.finished().await, Exit::CutOff);
}

#[tokio::test]
async fn abort_cuts_off_at_once_whatever_the_drain_limit() {
    let server = with_drain_limit(Duration::from_hours(1)).await;
    let caller: Caller = server.caller().await;
    let mut stream = caller.open(WATCH, "hang", &[]).await;
    stream.next().await;
    server.life.begin_shutdown("the test says so");
    server.life.abort("the test says so again");
    assert!(stream.breaks_off().await);
    assert_eq!(server.finished().await, Exit::CutOff);
}
