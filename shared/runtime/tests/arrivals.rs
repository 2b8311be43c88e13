//! Calls whose requests do not come to their end, beside those of others.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use configapi_runtime::{
    clients::{ClientLimits, lazy_channel},
    connections::ConnectionLimits,
    grpc::{CallLimits, GrpcLimits},
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream, FuturesUnordered},
};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::support::{GET, TestServer, message, soon, until};

type Message = BoxStream<'static, Result<Frame<Bytes>, Infallible>>;

/// A client whose messages do not come with their heads.
struct Slow<'a> {
    server: &'a TestServer,
    sender: SendRequest<StreamBody<Message>>,
}

/// A call whose message was not sent yet.
struct Begun {
    message: oneshot::Sender<&'static str>,
    answer: JoinHandle<Response<Incoming>>,
}

impl<'a> Slow<'a> {
    async fn connect(server: &'a TestServer) -> Self {
        let stream = TcpStream::connect(server.address).await.expect("a connection");
        let connected = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = connected.expect("a handshake");
        tokio::spawn(connection);
        Self { server, sender }
    }

    /// A call that waits for its message.
    async fn begin(&mut self) -> Begun {
        let before = in_flight(self.server);
        let (sender, sent) = oneshot::channel::<&str>();
        let message = stream::once(async {
            let Ok(text) = sent.await else { return std::future::pending().await };
            Ok(Frame::data(message(&text.to_owned().encode_to_vec())))
        });
        let request = Request::post(format!("http://test{GET}"))
            .header("content-type", "application/grpc")
            .header("grpc-timeout", "1M")
            .body(StreamBody::new(message.boxed()));
        let answering = self.sender.send_request(request.expect("a request"));
        let answer = tokio::spawn(async { answering.await.expect("an answer") });
        until(|| in_flight(self.server) > before).await;
        Begun { message: sender, answer }
    }
}

impl Begun {
    /// Sends the message.
    async fn end(self, text: &'static str) -> Status {
        self.message.send(text).expect("it is waited for");
        status_of(self.answer).await
    }
}

async fn status_of(answer: JoinHandle<Response<Incoming>>) -> Status {
    let response = soon(answer).await.expect("no panic");
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    let collected = soon(response.into_body().collect()).await.expect("all of it");
    Status::from_header_map(collected.trailers().expect("trailers")).expect("a status")
}

fn in_flight(server: &TestServer) -> f64 {
    let labels = r#"grpc_service="configapi.v1.QueryService",grpc_method="Get""#;
    server.metric(&format!("grpc_server_in_flight{{{labels}}}")).expect("it is counted")
}

async fn server(calls: CallLimits, max_arriving: usize) -> TestServer {
    let connections = ConnectionLimits { max_arriving, ..ConnectionLimits::default() };
    let limits = GrpcLimits { calls, connections, ..GrpcLimits::default() };
    TestServer::with(limits, Duration::from_secs(30)).await
}

async fn check_health(server: &TestServer) -> Code {
    let uri = format!("http://{}", server.address).parse().expect("a uri");
    let mut client = HealthClient::new(lazy_channel(uri, &ClientLimits::default()));
    let answer = client.check(HealthCheckRequest::default()).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn who_begins_calls_and_does_not_end_them_keeps_nobody_else_from_being_served() {
    const MAX_ARRIVING: usize = 4;
    let calls = CallLimits { max_waiting_calls: 1, ..CallLimits::default() };
    let server = server(calls, MAX_ARRIVING).await;
    let mut stuck = Slow::connect(&server).await;
    let mut begun = Vec::new();
    // One has its place with its connection.
    for _ in 0..=MAX_ARRIVING {
        begun.push(stuck.begin().await);
    }
    let caller = server.caller().await;
    assert_eq!(caller.ask(GET, "hello", &[]).await.items, ["hello"]);
    assert_eq!(check_health(&server).await, Code::Ok);
    let mut slow = Slow::connect(&server).await;
    assert_eq!(slow.begin().await.end("hello").await.code(), Code::Ok);
    let refused = stuck.begin().await.end("hello").await;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("still coming"), "{}", refused.message());
    for call in begun {
        assert_eq!(call.end("hello").await.code(), Code::Ok);
    }
    assert_eq!(stuck.begin().await.end("hello").await.code(), Code::Ok);
}

#[tokio::test]
async fn a_call_whose_request_comes_when_too_many_wait_is_refused() {
    let calls = CallLimits { max_waiting_calls: 1, ..CallLimits::default() };
    let server = server(calls, 10).await;
    let mut slow = Slow::connect(&server).await;
    let (first, late) = (slow.begin().await, slow.begin().await);
    let first = tokio::spawn(first.end("wait at the gate"));
    until(|| server.probe.calls() == 1).await;
    let refused = late.end("hello").await;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("calls in work"), "{}", refused.message());
    assert_eq!(check_health(&server).await, Code::Ok, "probes are answered all the same");
    server.probe.open_gate();
    assert_eq!(first.await.expect("no panic").code(), Code::Ok);
    assert_eq!(slow.begin().await.end("hello").await.code(), Code::Ok);
}

#[tokio::test]
async fn who_makes_many_calls_leaves_half_of_the_places_to_others() {
    const PLACES: usize = 300;
    const CALLS: usize = 200;
    let calls = CallLimits { max_waiting_calls: PLACES, ..CallLimits::default() };
    let server = server(calls, 10).await;
    let (greedy, other) = (server.caller().await, server.caller().await);
    let hang = |_| greedy.begin(GET, "hang", &[]);
    let mut answers: FuturesUnordered<_> = (0..CALLS).map(hang).collect();
    for _ in PLACES / 2..CALLS {
        let refused = answers.next().await.expect("there is one").collect().await;
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }
    assert_eq!(other.ask(GET, "hello", &[]).await.items, ["hello"]);
    // What one has given back is there for it again.
    drop(answers);
    until(|| in_flight(&server) == 0.0).await;
    assert_eq!(greedy.ask(GET, "hello", &[]).await.items, ["hello"]);
}

#[tokio::test]
async fn a_request_that_stops_coming_ends_its_call_and_an_answer_may_take_longer() {
    let request_pause_timeout = Duration::from_millis(200);
    let server = server(CallLimits { request_pause_timeout, ..CallLimits::default() }, 10).await;
    let mut slow = Slow::connect(&server).await;
    let handled = tokio::spawn(slow.begin().await.end("wait at the gate"));
    until(|| server.probe.calls() == 1).await;
    let stopped = slow.begin().await;
    let told = status_of(stopped.answer).await;
    assert_eq!(told.code(), Code::DeadlineExceeded);
    assert_eq!(told.message(), "the request came too slowly; nothing was done");
    assert!(!handled.is_finished(), "its request had come");
    server.probe.open_gate();
    assert_eq!(handled.await.expect("no panic").code(), Code::Ok);
    assert_eq!(server.probe.calls(), 1);
}
