//! When all places are taken, the connection that has been at rest longest gives its own to one that comes.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use configapi_runtime::{
    clients::{ClientLimits, lazy_channel},
    connections::ConnectionLimits,
    grpc::GrpcLimits,
    http::HttpLimits,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Code, Request, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use super::{
    http::HttpServer,
    lingering::{GOAWAY, HEADERS, PING, frame, next_frame, preface},
    support::{Caller, GET, TestServer, WATCH, soon, until},
};

const SHORT: Duration = Duration::from_millis(200);

fn places(max_connections: usize, displaced_after: Duration) -> ConnectionLimits {
    ConnectionLimits { max_connections, displaced_after, ..Default::default() }
}

async fn with(connections: ConnectionLimits) -> TestServer {
    let limits = GrpcLimits { connections, ..GrpcLimits::default() };
    TestServer::with(limits, Duration::from_secs(30)).await
}

/// A new client of the server, once there is a place for it.
async fn newcomer(address: SocketAddr) -> Caller {
    soon(async {
        loop {
            if let Some(caller) = Caller::served(address).await {
                return caller;
            }
        }
    })
    .await
}

/// How many have given their places away.
const DISPLACED: &str = r#"configapi_connections_displaced_total{server="probe"}"#;
const OPEN: &str = r#"configapi_connections{server="probe"}"#;

#[tokio::test]
async fn whoever_has_been_at_rest_longest_gives_its_place_to_one_that_comes() {
    let server = with(places(2, Duration::from_secs(1))).await;
    let (first, second) = (server.caller().await, server.caller().await);
    for caller in [&second, &first] {
        assert_eq!(caller.ask(GET, "hello", &[]).await.code(), Code::Ok);
    }
    // The first one to come is at rest for the shorter time, for it goes on asking.
    let third = soon(async {
        loop {
            assert_eq!(first.ask(GET, "hello", &[]).await.code(), Code::Ok);
            if let Some(caller) = Caller::served(server.address).await {
                return caller;
            }
        }
    })
    .await;
    second.closed().await;
    for caller in [&first, &third] {
        assert_eq!(caller.ask(GET, "hello", &[]).await.code(), Code::Ok);
    }
    assert_eq!(server.metric(DISPLACED), Some(1.0));
}

#[tokio::test]
async fn a_connection_with_a_call_under_way_keeps_its_place() {
    let server = with(places(2, SHORT)).await;
    let listening = server.caller().await;
    let mut stream = listening.open(WATCH, "first", &[]).await;
    assert_eq!(stream.next().await.as_deref(), Some("first"));
    let at_rest = server.caller().await;
    // The stream began before the other one came, so it would have been the first to go.
    let newcomer = newcomer(server.address).await;
    at_rest.closed().await;
    assert_eq!(newcomer.ask(GET, "hello", &[]).await.code(), Code::Ok);
    server.probe.open_gate();
    assert_eq!(stream.collect().await.items, ["last"]);
    assert_eq!(listening.ask(GET, "hello", &[]).await.code(), Code::Ok);
}

#[tokio::test]
async fn a_connection_is_not_at_rest_until_its_last_call_has_ended() {
    let displaced_after = Duration::from_secs(1);
    let server = with(places(2, displaced_after)).await;
    let listening = server.caller().await;
    let mut stream = listening.open(WATCH, "first", &[]).await;
    assert_eq!(stream.next().await.as_deref(), Some("first"));
    let _at_rest = server.caller().await;
    let newcomer = newcomer(server.address).await;
    // Its call began longer ago than that.
    let before_its_end = Instant::now();
    server.probe.open_gate();
    assert_eq!(stream.collect().await.items, ["last"]);
    let one_more = Caller::served(server.address).await;
    assert!(one_more.is_none() || before_its_end.elapsed() >= displaced_after);
    drop(newcomer);
}

#[tokio::test]
async fn a_connection_that_is_at_rest_for_a_short_time_keeps_its_place() {
    let server = with(places(2, Duration::from_hours(1))).await;
    let callers = [server.caller().await, server.caller().await];
    for caller in &callers {
        assert_eq!(caller.ask(GET, "hello", &[]).await.code(), Code::Ok);
    }
    assert!(Caller::served(server.address).await.is_none());
    for caller in &callers {
        assert_eq!(caller.ask(GET, "hello", &[]).await.code(), Code::Ok);
    }
    assert_eq!(server.metric(DISPLACED), Some(0.0));
}

async fn call(channel: &Channel) -> Result<String, tonic::Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("a channel that connects when it is used");
    let codec = ProstCodec::<String, String>::default();
    let request = Request::new("hello".to_owned());
    client
        .unary(request, http::uri::PathAndQuery::from_static(GET), codec)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_client_that_gave_its_place_away_connects_again_without_a_failed_call() {
    let server = with(places(1, SHORT)).await;
    let uri = format!("http://{}", server.address).parse().expect("a URI");
    let channel = lazy_channel(uri, &ClientLimits::default());
    for round in 1..=3 {
        assert_eq!(call(&channel).await.expect("an answer"), "hello");
        let newcomer = newcomer(server.address).await;
        assert_eq!(server.metric(DISPLACED), Some(f64::from(round)));
        drop(newcomer);
        until(|| server.metric(OPEN) == Some(0.0)).await;
    }
}

#[tokio::test]
async fn what_a_client_asks_before_it_knows_is_answered() {
    let (end_stream, end_headers, ack) = (1, 4, 1);
    let limits = HttpLimits { connections: places(1, SHORT), ..HttpLimits::default() };
    let server = HttpServer::start(limits).await;
    let mut stream = server.connect().await;
    stream.write_all(&preface()).await.expect("written");
    let newcomer = newcomer(server.listener_address).await;
    // The first goodbye allows any stream, and asks whether it was heard.
    let mut asked = None;
    while asked.is_none() {
        match next_frame(&mut stream).await {
            (GOAWAY, payload) => assert_eq!(payload[..4], [0x7f, 0xff, 0xff, 0xff]),
            (PING, payload) => asked = Some(payload),
            _ => {}
        }
    }
    // GET http://test/items/a
    let head = [&b"\x82\x86\x04\x08/items/a"[..], b"\x01\x04test"].concat();
    stream.write_all(&frame(HEADERS, end_stream | end_headers, 1, &head)).await.expect("written");
    while next_frame(&mut stream).await.0 != HEADERS {}
    let pong = frame(PING, ack, 0, &asked.expect("it was asked"));
    stream.write_all(&pong).await.expect("written");
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.expect("the end");
    drop(newcomer);
}

/// A client that has a place, and never answers when it is asked to go.
async fn deaf(address: SocketAddr) -> TcpStream {
    soon(async {
        loop {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            let spoke = stream.write_all(&preface()).await;
            if spoke.is_ok() && stream.read_u8().await.is_ok() {
                return stream;
            }
        }
    })
    .await
}

#[tokio::test]
async fn those_that_do_not_go_are_few_and_left_behind() {
    let server = with(places(1, SHORT)).await;
    let _clients = [deaf(server.address).await, deaf(server.address).await];
    let _newcomer = newcomer(server.address).await;
    // There is room for one that is on its way out, so the first has gone by now.
    assert_eq!(server.metric(DISPLACED), Some(2.0));
    let open = server.metric(OPEN).expect("it is told");
    assert!(open <= 2.0, "{open}");
}

#[tokio::test]
async fn a_connection_over_http_1_at_rest_gives_its_place_too() {
    let get = b"GET /items/a HTTP/1.1\r\nhost: test\r\n\r\n";
    let post = b"POST /gate HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n";
    let limits = HttpLimits { connections: places(3, SHORT), ..HttpLimits::default() };
    let server = HttpServer::start(limits).await;
    let [mut waiting, mut asking, mut at_rest] =
        [server.connect().await, server.connect().await, server.connect().await];
    waiting.write_all(post).await.expect("written");
    soon(server.reached.notified()).await;
    at_rest.write_all(get).await.expect("written");
    soon(async {
        loop {
            asking.write_all(get).await.expect("written");
            let mut answer = Vec::new();
            while !answer.ends_with(b"an item") {
                answer.push(asking.read_u8().await.expect("an answer"));
            }
            if let Some(caller) = Caller::served(server.listener_address).await {
                return caller;
            }
        }
    })
    .await;
    let mut answer = String::new();
    soon(at_rest.read_to_string(&mut answer)).await.expect("an answer, and the end");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("an item"), "{answer}");
    server.gate.notify_one();
    let mut answer = [0; 15];
    soon(waiting.read_exact(&mut answer)).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}
