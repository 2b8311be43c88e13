//! Large answers are taken in time or not at all, whatever their clients do.

use std::time::Duration;

use axum::{body::Bytes, http::Request};
use configapi_runtime::{
    connections::ConnectionLimits,
    grpc::{CallLimits, GrpcLimits},
    http::HttpLimits,
};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    http::{HttpServer, LARGE_BYTES, begun, get_once},
    support::{Caller, TestServer, WATCH, soon, until},
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that has room for one large answer, which must be taken in a short time.
async fn server() -> HttpServer {
    // Long enough that a few bytes are taken within it, again and again.
    let connections =
        ConnectionLimits { write_timeout: Duration::from_secs(5), ..ConnectionLimits::default() };
    let max_answer_bytes = LARGE_BYTES + LARGE_BYTES / 2;
    let limits =
        HttpLimits { answer_timeout: ANSWER_TIMEOUT, max_answer_bytes, ..HttpLimits::default() };
    HttpServer::start(HttpLimits { connections, ..limits }).await
}

async fn none_are_open_but(connections: usize, server: &HttpServer) {
    let open = format!(r#"configapi_connections{{server="rest"}} {connections}"#);
    until(|| server.metrics.render().expect("renders").contains(&open)).await;
}

/// Takes a little now and then, for as long as there is more: how much it was.
async fn trickle(stream: &mut TcpStream, taken: &mut usize) {
    let mut piece = vec![0; 16 << 10];
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        *taken += read;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks for a large answer, and takes all of it at a fair pace.
async fn take_all(stream: &mut TcpStream) {
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("written");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.expect("a head"));
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    let mut piece = vec![0; LARGE_BYTES / 8];
    for _ in 0..8 {
        soon(stream.read_exact(&mut piece)).await.expect("all of it");
        tokio::time::sleep(ANSWER_TIMEOUT / 40).await;
    }
}

#[tokio::test]
async fn who_takes_a_few_bytes_now_and_then_does_not_keep_an_answer_for_ever() {
    for path in ["/large", "/pieces"] {
        let server = server().await;
        let mut fair = server.connect().await;
        take_all(&mut fair).await;
        let mut slow = server.connect().await;
        slow.write_all(get_once(path).as_bytes()).await.expect("written");
        soon(slow.read_exact(&mut [0; 12])).await.expect("the answer begins");
        if path == "/large" {
            let refused = server.exchange(&get_once("/large")).await;
            assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
        }
        let mut taken = 0;
        tokio::select! {
            () = trickle(&mut slow, &mut taken) => {}
            () = none_are_open_but(1, &server) => {}
        }
        let mut rest = Vec::new();
        // What the system has of it still comes, unless it says that the connection was closed.
        let _ = soon(slow.read_to_end(&mut rest)).await;
        assert!(taken + rest.len() < LARGE_BYTES / 2, "{path}");
        // The room is free again, and what was taken long ago is due no more.
        take_all(&mut fair).await;
    }
}

/// The beginning of an answer to a client over HTTP/2 that wants all of it at once, and takes nothing.
async fn stuck(server: &HttpServer) -> hyper::Response<Incoming> {
    let window = u32::try_from(2 * LARGE_BYTES).expect("a window");
    let (reading, writing) = server.connect().await.into_split();
    // After so many bytes nothing is read any more: the other end of this never says anything.
    let (nothing, silent) = tokio::io::duplex(1);
    let stream = tokio::io::join(reading.take(64 << 10).chain(nothing), writing);
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .initial_connection_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(async move { (connection.await, silent) });
    let request = Request::get("http://test/large").body(Empty::<Bytes>::new());
    soon(sender.send_request(request.expect("a request"))).await.expect("an answer")
}

#[tokio::test]
async fn a_frame_that_is_stuck_half_way_does_not_keep_its_answer_for_ever() {
    let limits = HttpLimits { answer_timeout: ANSWER_TIMEOUT / 2, ..HttpLimits::default() };
    let server = HttpServer::start(limits).await;
    let answer = stuck(&server).await;
    assert_eq!(answer.status(), 200);
    none_are_open_but(0, &server).await;
}

#[tokio::test]
async fn an_endless_answer_takes_room_for_as_long_as_its_last_piece_is_not_taken() {
    let server = server().await;
    let mut read = begun(&server, "/endless", 1 << 16).await.into_body();
    let mut bytes = 0;
    while bytes < LARGE_BYTES {
        let frame = soon(read.frame()).await.expect("it goes on").expect("a frame");
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    let unread = begun(&server, "/endless", 1).await;
    let refused = begun(&server, "/endless", 1 << 16).await.into_body();
    assert_eq!(soon(refused.collect()).await.expect("last words").to_bytes(), "no room");
    assert_eq!(begun(&server, "/large", 1).await.status(), 429);
    // Who takes nothing is given up. Who took all that there was goes on, though that was before.
    soon(unread.into_body().collect()).await.expect_err("it is given up");
    server.gate.notify_one();
    assert_eq!(soon(read.collect()).await.expect("the last piece").to_bytes(), "open");
    soon(trickled(&server)).await;
}

#[tokio::test]
async fn who_takes_nothing_of_what_little_it_is_told_is_given_up_and_who_does_is_not() {
    let message_timeout = Duration::from_secs(1);
    let server = HttpServer::start(HttpLimits { message_timeout, ..HttpLimits::default() }).await;
    let mut read = begun(&server, "/endless-small", 1).await.into_body();
    soon(read.frame()).await.expect("it goes on").expect("a frame");
    let unread = begun(&server, "/endless-small", 0).await;
    soon(unread.into_body().collect()).await.expect_err("it is given up");
    server.gate.notify_one();
    assert_eq!(soon(read.collect()).await.expect("the last piece").to_bytes(), "open");
}

#[tokio::test]
async fn who_takes_nothing_of_a_stream_of_messages_is_given_up_and_who_does_is_not() {
    let message_timeout = Duration::from_secs(1);
    let calls = CallLimits { message_timeout, ..CallLimits::default() };
    let limits = GrpcLimits { calls, ..GrpcLimits::default() };
    let server = TestServer::with(limits, Duration::from_secs(30)).await;
    let mut read = server.caller().await.open(WATCH, "news", &[]).await;
    assert_eq!(read.next().await.as_deref(), Some("news"));
    let caller = Caller::connect_with_window(server.address, 0).await;
    assert!(caller.open(WATCH, "hang", &[]).await.breaks_off().await);
    server.probe.open_gate();
    assert_eq!(read.next().await.as_deref(), Some("last"));
}

/// An endless answer over HTTP/1 of which a little is taken now and then, until it is given up.
async fn trickled(server: &HttpServer) {
    let mut slow = server.connect().await;
    slow.write_all(get_once("/endless").as_bytes()).await.expect("written");
    soon(slow.read_exact(&mut [0; 12])).await.expect("the answer begins");
    let mut taken = 0;
    tokio::select! {
        () = trickle(&mut slow, &mut taken) => {}
        () = none_are_open_but(0, server) => {}
    }
    assert!(taken < LARGE_BYTES / 2);
}
