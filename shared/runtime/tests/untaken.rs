//! Small answers that nobody takes, many of them on one connection. Each by itself is too small to count.

use std::time::Duration;

use axum::{body::Bytes, http::Request};
use configapi_runtime::{
    grpc::{CallLimits, GrpcLimits},
    http::HttpLimits,
};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::Code;

use super::{
    http::{HttpServer, LARGE_BYTES, get_once},
    support::{Caller, FRAMED, GET, TestServer, soon},
};

/// More of them than a connection may have untaken.
const MANY: usize = 100;

/// A client over HTTP/2 that takes so many bytes of each answer until it reads.
async fn client(server: &HttpServer, window: u32) -> SendRequest<Empty<Bytes>> {
    let stream = TokioIo::new(server.connect().await);
    let handshake = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(stream)
        .await;
    let (sender, connection) = handshake.expect("a handshake");
    tokio::spawn(connection);
    sender
}

fn small() -> Request<Empty<Bytes>> {
    Request::get("http://test/small").body(Empty::new()).expect("a request")
}

async fn is_refused(server: &HttpServer, path: &str) -> bool {
    server.exchange(&get_once(path)).await.starts_with("HTTP/1.1 429 ")
}

#[tokio::test]
async fn small_answers_that_nobody_takes_are_counted_and_given_up_like_large_ones() {
    // With leave for nothing, and with leave for a little, which is taken.
    for window in [0, 1] {
        let answer_timeout = Duration::from_secs(1);
        let limits =
            HttpLimits { max_answer_bytes: LARGE_BYTES, answer_timeout, ..HttpLimits::default() };
        let server = HttpServer::start(limits).await;
        let mut idle = client(&server, window).await;
        let mut held = Vec::new();
        for _ in 0..MANY {
            held.push(soon(idle.send_request(small())).await.expect("an answer begins"));
        }
        assert!(is_refused(&server, "/large").await, "{window}");
        // Whoever takes what it asks for may ask for as much as it likes.
        let mut fair = client(&server, 1 << 16).await;
        for _ in 0..MANY {
            let answer = soon(fair.send_request(small())).await.expect("an answer");
            soon(answer.into_body().collect()).await.expect("all of it");
        }
        while soon(is_refused(&server, "/large")).await {}
    }
}

#[tokio::test]
async fn small_answers_to_calls_that_nobody_takes_are_counted_like_large_ones() {
    let small = "x".repeat(16_000);
    let calls = CallLimits { max_answer_bytes: Some(20 * small.len()), ..CallLimits::default() };
    let limits = GrpcLimits { calls, ..GrpcLimits::default() };
    let server = TestServer::with(limits, Duration::from_secs(30)).await;
    let caller = server.caller().await;
    let large = "x".repeat(19 * small.len());
    for (window, headers) in [(0, &[][..]), (1, &[]), (0, &[FRAMED]), (1, &[FRAMED])] {
        let idle = Caller::connect_with_window(server.address, window).await;
        let mut held = Vec::new();
        for _ in 0..MANY {
            held.push(idle.open(GET, &small, headers).await);
        }
        let refused = caller.ask(GET, &large, headers).await;
        assert_eq!(refused.code(), Code::ResourceExhausted, "{window}");
        assert_eq!(refused.reason(), "LIMIT_EXCEEDED");
        for _ in 0..MANY {
            assert_eq!(caller.ask(GET, &small, headers).await.items, [small.as_str()]);
        }
        drop((held, idle));
        while caller.ask(GET, &large, headers).await.code() != Code::Ok {}
    }
}
