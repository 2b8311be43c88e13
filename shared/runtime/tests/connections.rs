//! Connections are bounded in number, in silence and in age.

use std::time::Duration;

use configapi_runtime::{connections::ConnectionLimits, grpc::GrpcLimits};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

use super::support::{Caller, GET, TestServer, WATCH, soon, until};

async fn with(connections: ConnectionLimits) -> TestServer {
    let limits = GrpcLimits { connections, ..GrpcLimits::default() };
    TestServer::with(limits, Duration::from_secs(30)).await
}

/// Whether the server has closed its side; a reset is as good as an end.
async fn closed(stream: &mut TcpStream) -> bool {
    let mut received = Vec::new();
    match soon(stream.read_to_end(&mut received)).await {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[tokio::test]
async fn one_connection_more_than_allowed_is_closed_at_once() {
    let server = with(ConnectionLimits { max_connections: 1, ..Default::default() }).await;
    let first = server.caller().await;
    assert_eq!(first.ask(GET, "hello", &[]).await.code(), Code::Ok);
    let mut second = TcpStream::connect(server.address).await.expect("the kernel accepts");
    assert!(closed(&mut second).await);
    assert_eq!(server.metric(r#"configapi_connections_refused_total{server="probe"}"#), Some(1.0));
    assert_eq!(first.ask(GET, "hello", &[]).await.code(), Code::Ok);

    drop(first);
    until(|| server.metric(r#"configapi_connections{server="probe"}"#) == Some(0.0)).await;
    let third = Caller::connect(server.address).await;
    assert_eq!(third.ask(GET, "hello", &[]).await.code(), Code::Ok);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let first_bytes_timeout = Duration::from_secs(1);
    let server = with(ConnectionLimits { first_bytes_timeout, ..Default::default() }).await;
    let mut silent = TcpStream::connect(server.address).await.expect("a connection");
    assert!(closed(&mut silent).await);
    let mut halting = TcpStream::connect(server.address).await.expect("a connection");
    halting.write_all(b"PRI * HTTP/2.0\r\n").await.expect("written");
    assert!(closed(&mut halting).await);
}

#[tokio::test]
async fn a_connection_that_spoke_may_be_idle_for_longer() {
    let first_bytes_timeout = Duration::from_secs(1);
    let server = with(ConnectionLimits { first_bytes_timeout, ..Default::default() }).await;
    let speaking = server.caller().await;
    assert_eq!(speaking.ask(GET, "hello", &[]).await.code(), Code::Ok);
    // When a later, silent one has been closed, the earlier one's time was over too.
    let mut silent = TcpStream::connect(server.address).await.expect("a connection");
    assert!(closed(&mut silent).await);
    assert_eq!(speaking.ask(GET, "hello", &[]).await.code(), Code::Ok);
}

#[tokio::test]
async fn an_old_connection_is_told_to_go_and_may_finish() {
    let max_age = Some(Duration::from_secs(1));
    let server = with(ConnectionLimits { max_age, ..Default::default() }).await;
    let old = server.caller().await;
    let mut stream = old.open(WATCH, "first", &[]).await;
    assert_eq!(stream.next().await.as_deref(), Some("first"));
    // A younger, idle connection is told to go and goes; the older one has been told before.
    let idle = server.caller().await;
    idle.closed().await;
    server.probe.open_gate();
    assert_eq!(stream.collect().await.items, ["last"]);
    old.closed().await;
}

#[tokio::test]
async fn an_old_connection_that_does_not_finish_is_closed() {
    let max_age = Some(Duration::from_millis(500));
    let max_age_grace = Duration::from_millis(10);
    let server = with(ConnectionLimits { max_age, max_age_grace, ..Default::default() }).await;
    let caller = server.caller().await;
    let stream = caller.open(WATCH, "hang", &[]).await;
    assert!(stream.breaks_off().await);
}
