//! A client that sends all of its request before it looks for an answer gets to see why it was refused.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use configapi_runtime::http::HttpLimits;
use futures_util::stream;
use http::Request;
use http_body_util::StreamBody;
use hyper::{body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    http::HttpServer,
    support::{soon, until},
};

/// More than the system holds for a server that does not read.
const BODY_BYTES: usize = 16 << 20;

fn head(more: &str) -> String {
    let length = BODY_BYTES;
    format!("POST /items/a HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n{more}\r\n")
}

/// The answer as far as its head.
async fn answer(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.expect("a head"));
    }
    String::from_utf8(head).expect("text")
}

#[tokio::test]
async fn who_sends_all_before_it_reads_gets_the_answer_and_keeps_its_connection() {
    let server = HttpServer::start(HttpLimits::default()).await;
    let mut stream = server.connect().await;
    let body = vec![b'x'; BODY_BYTES];
    for _ in 0..2 {
        stream.write_all(head("").as_bytes()).await.expect("written");
        soon(stream.write_all(&body)).await.expect("it is taken");
        let refused = answer(&mut stream).await;
        assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
    }
}

#[tokio::test]
async fn who_asks_before_it_sends_is_answered_and_has_nothing_to_send() {
    let server = HttpServer::start(HttpLimits::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(head("expect: 100-continue\r\n").as_bytes()).await.expect("written");
    let refused = answer(&mut stream).await;
    assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
    // Nobody waits for a body that does not come.
    soon(stream.read_to_end(&mut Vec::new())).await.expect("the end");
}

#[tokio::test]
async fn who_has_said_its_last_word_and_only_listens_is_answered() {
    let server = HttpServer::start(HttpLimits::default()).await;
    for body in ["content-length: 0\r\n\r\n", "content-length: 4\r\n\r\nbody"] {
        let mut stream = server.connect().await;
        let request = format!("POST /gate HTTP/1.1\r\nhost: test\r\n{body}");
        stream.write_all(request.as_bytes()).await.expect("written");
        stream.shutdown().await.expect("its last word");
        soon(server.reached.notified()).await;
        server.gate.notify_one();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.expect("an answer, and the end");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("open"), "{answer}");
    }
    // The last word may be there before anything of a request is looked at.
    let request = "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\nbody";
    let mut stream = server.connect().await;
    stream.write_all(request.repeat(3).as_bytes()).await.expect("written");
    stream.shutdown().await.expect("its last word");
    let mut answers = String::new();
    soon(stream.read_to_string(&mut answers)).await.expect("the answers, and the end");
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3, "{answers}");
}

#[tokio::test]
async fn who_has_said_its_last_word_within_a_body_is_not_waited_for() {
    let patience = Duration::from_hours(1);
    let limits = HttpLimits {
        body_pause_timeout: patience,
        body_timeout: patience,
        ..HttpLimits::default()
    };
    let server = HttpServer::start(limits).await;
    let head = "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 8\r\n";
    // At once with all that it sends, and once the body is waited for.
    for is_waited_for in [false, true] {
        let mut stream = server.connect().await;
        stream.write_all(head.as_bytes()).await.expect("written");
        if is_waited_for {
            stream.write_all(b"expect: 100-continue\r\n\r\n").await.expect("written");
            assert!(answer(&mut stream).await.starts_with("HTTP/1.1 100 "));
        } else {
            stream.write_all(b"\r\n").await.expect("written");
        }
        stream.write_all(b"half").await.expect("written");
        stream.shutdown().await.expect("its last word");
        let mut rest = String::new();
        soon(stream.read_to_string(&mut rest)).await.expect("the end");
        assert!(!rest.contains("HTTP/1.1 200 "), "{rest}");
    }
}

pub const HEADERS: u8 = 1;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;

/// A frame of HTTP/2, byte for byte: a client of a library would not go on with what was answered.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, &stream.to_be_bytes()[..], payload].concat()
}

/// What a client of HTTP/2 says first.
pub fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, b"")[..]].concat()
}

/// The kind of the next frame, and what is in it.
pub async fn next_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    soon(stream.read_exact(&mut head)).await.expect("a frame");
    let [a, b, c, kind, ..] = head;
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).expect("a length");
    let mut payload = vec![0; length];
    soon(stream.read_exact(&mut payload)).await.expect("all of it");
    (kind, payload)
}

async fn next_kind(stream: &mut TcpStream) -> u8 {
    next_frame(stream).await.0
}

#[tokio::test]
async fn any_number_of_refusals_over_http_2_leaves_the_connection_to_the_others() {
    const REQUESTS: u32 = 300;
    let (end_stream, end_headers) = (1, 4);
    let server = HttpServer::start(HttpLimits::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(&preface()).await.expect("written");
    // POST http://test/items/a
    let head = [&b"\x83\x86\x04\x08/items/a"[..], b"\x01\x04test"].concat();
    let ids = (0..REQUESTS).map(|number| 2 * number + 1);
    for id in ids.clone() {
        stream.write_all(&frame(HEADERS, end_headers, id, &head)).await.expect("written");
    }
    let mut answered = 0;
    while answered < REQUESTS {
        match next_kind(&mut stream).await {
            HEADERS => answered += 1,
            kind => assert_ne!(kind, GOAWAY),
        }
    }
    for id in ids {
        let body = [frame(0, 0, id, b"some"), frame(0, end_stream, id, b"more")].concat();
        stream.write_all(&body).await.expect("written");
    }
    stream.write_all(&frame(PING, 0, 0, b"go on  ?")).await.expect("written");
    loop {
        match next_kind(&mut stream).await {
            PING => return,
            kind => assert_ne!(kind, GOAWAY),
        }
    }
}

#[tokio::test]
async fn a_body_over_http_2_that_nobody_reads_is_taken_for_a_while_only() {
    const PIECE: &[u8] = &[b'x'; 16 << 10];
    let server = HttpServer::start(HttpLimits::default()).await;
    let stream = TokioIo::new(server.connect().await);
    let connected = http2::handshake(TokioExecutor::new(), stream).await;
    let (mut sender, connection) = connected.expect("a handshake");
    tokio::spawn(connection);
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let endless = stream::repeat_with(move || {
        counted.fetch_add(PIECE.len(), Ordering::SeqCst);
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(PIECE)))
    });
    let request = Request::post("http://test/items/a").body(StreamBody::new(endless));
    let answer = soon(sender.send_request(request.expect("a request"))).await.expect("an answer");
    assert_eq!(answer.status(), 405);
    // The body is dropped when it is not wanted any more.
    until(|| Arc::strong_count(&taken) == 1).await;
    let taken = taken.load(Ordering::SeqCst);
    assert!(((1 << 20)..(4 << 20)).contains(&taken), "{taken}");
}
