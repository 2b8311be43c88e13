//! A client that sends all of its request before it looks for an answer gets to see why it was refused.

use configapi_runtime::http::HttpLimits;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{http::HttpServer, support::soon};

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
