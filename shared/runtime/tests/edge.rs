//! What else the edge does for every call: panics, names, limits, unknown methods, metrics.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use configapi_runtime::grpc::{CallLimits, FRAME_BYTES, Framed, GrpcLimits};
use futures_util::stream;
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::Code;
use tracing::Level;

use super::support::{
    Caller, FRAMED, GET, LARGE_BYTES, MAX_MESSAGE_BYTES, TestServer, WATCH, message, until,
};

#[tokio::test]
async fn a_panic_fails_its_own_call_only() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let answer = caller.ask(GET, "panic with a secret", &[("x-request-id", "call-1")]).await;
    assert_eq!(answer.code(), Code::Internal);
    assert_eq!(answer.reason(), "INTERNAL");
    assert_eq!(answer.status.message(), "a fault in the server (request id call-1)");
    assert_eq!(caller.ask(GET, "hello", &[]).await.items, ["hello"]);
}

#[tokio::test]
async fn a_panic_in_a_stream_ends_the_stream_with_a_status() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let mut stream = caller.open(WATCH, "panic", &[]).await;
    assert_eq!(stream.next().await.as_deref(), Some("panic"));
    server.probe.open_gate();
    let answer = stream.collect().await;
    assert_eq!(answer.code(), Code::Internal);
    assert_eq!(answer.reason(), "INTERNAL");
    let request_id = answer.request_id().expect("a failure is named");
    assert!(answer.status.message().contains(request_id));
    assert_eq!(caller.ask(GET, "hello", &[]).await.items, ["hello"]);
}

#[tokio::test]
async fn a_request_id_comes_back_and_reaches_the_handler() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    for text in ["name", "fail", "hello"] {
        let answer = caller.ask(GET, text, &[("x-request-id", "my-own:42")]).await;
        assert_eq!(answer.request_id(), Some("my-own:42"), "{text}");
    }
    assert_eq!(caller.ask(GET, "name", &[("x-request-id", "my-own")]).await.items, ["my-own"]);
}

#[tokio::test]
async fn a_request_id_that_could_do_harm_is_replaced() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let too_long = "x".repeat(129);
    for sent in ["", "two words", "tab\there", too_long.as_str()] {
        let answer = caller.ask(GET, "name", &[("x-request-id", sent)]).await;
        let given = answer.request_id().expect("a name that was asked for is told");
        assert_eq!(answer.items, [given]);
        assert_eq!(given.len(), 36, "{given}");
    }
}

#[tokio::test]
async fn only_a_well_formed_traceparent_is_believed() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let good = format!("00-{trace}-00f067aa0ba902b7-01");
    assert_eq!(caller.ask(GET, "trace", &[("traceparent", &good)]).await.items, [trace]);
    for bad in ["", "00-1-2-3", &good.to_uppercase(), &good.replace(trace, &"0".repeat(32))] {
        let answer = caller.ask(GET, "trace", &[("traceparent", bad)]).await;
        assert_eq!(answer.items, ["none"], "{bad:?}");
    }
}

#[tokio::test]
async fn an_unknown_method_or_service_is_unimplemented_and_told_what_there_is() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let long = "x".repeat(10_000);
    for method in ["configapi.v1.QueryService/Nothing", "no.such.Service/Get", "", &long] {
        let answer = caller.ask(&format!("/{method}"), "hello", &[]).await;
        assert_eq!(answer.code(), Code::Unimplemented, "{method}");
        assert!(answer.request_id().is_some(), "a failure is named");
        let named = &method[..method.len().min(200)];
        let message = format!(
            "there is no method \"{named}\" here: this server serves configapi.v1.QueryService, \
             grpc.health.v1.Health, grpc.reflection.v1.ServerReflection, \
             grpc.reflection.v1alpha.ServerReflection; all else is elsewhere"
        );
        assert_eq!(answer.status.message(), message);
    }
    let labels = r#"{grpc_service="other",grpc_method="other",grpc_code="UNIMPLEMENTED"}"#;
    let other = format!("grpc_server_handled_total{labels}");
    assert_eq!(server.metric(&other), Some(4.0));
}

#[tokio::test]
async fn more_waiting_calls_than_allowed_are_refused_at_once() {
    let calls = CallLimits { max_waiting_calls: 1, ..CallLimits::default() };
    let limits = GrpcLimits { calls, ..GrpcLimits::default() };
    let server = TestServer::with(limits, Duration::from_secs(30)).await;
    let caller = server.caller().await;
    let first = tokio::spawn(caller.begin(GET, "wait at the gate", &[]));
    until(|| server.probe.calls() == 1).await;
    let refused = caller.ask(GET, "hello", &[]).await;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.reason(), "LIMIT_EXCEEDED");
    server.probe.open_gate();
    assert_eq!(first.await.expect("no panic").collect().await.code(), Code::Ok);
    assert_eq!(caller.ask(GET, "hello", &[]).await.code(), Code::Ok);
}

#[tokio::test]
async fn who_is_refused_and_goes_on_sending_waits_for_nothing() {
    let calls = CallLimits { max_waiting_calls: 1, ..CallLimits::default() };
    let limits = GrpcLimits { calls, ..GrpcLimits::default() };
    let server = TestServer::with(limits, Duration::from_secs(30)).await;
    let stream = TokioIo::new(TcpStream::connect(server.address).await.expect("a connection"));
    let connected = http2::handshake(TokioExecutor::new(), stream).await;
    let (mut sender, connection) = connected.expect("a handshake");
    let _connection = tokio::spawn(connection);
    // The message never comes.
    let message = stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let request = Request::post(format!("http://test{GET}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "bad")
        .body(StreamBody::new(message));
    let refused = tokio::spawn(sender.send_request(request.expect("a request")));
    let labels = r#"grpc_service="configapi.v1.QueryService",grpc_method="Get""#;
    let in_flight = format!("grpc_server_in_flight{{{labels}}}");
    until(|| server.metric(&in_flight) == Some(1.0)).await;
    assert_eq!(server.caller().await.ask(GET, "hello", &[]).await.code(), Code::Ok);
    assert!(!refused.is_finished(), "it was still sending");
}

#[tokio::test]
async fn any_number_of_refusals_leaves_the_connection_to_those_who_were_let_in() {
    const TOGETHER: usize = 400;
    let calls = CallLimits { max_waiting_calls: 1, ..CallLimits::default() };
    let limits = GrpcLimits { calls, ..GrpcLimits::default() };
    let server = TestServer::with(limits, Duration::from_secs(30)).await;
    let caller = Arc::new(server.caller().await);
    let first = tokio::spawn(caller.begin(GET, "wait at the gate", &[]));
    until(|| server.probe.calls() == 1).await;
    for _ in 0..5 {
        let mut refused = tokio::task::JoinSet::new();
        for _ in 0..TOGETHER {
            let caller = Arc::clone(&caller);
            refused.spawn(async move { caller.ask(GET, "hello", &[]).await.code() });
        }
        let codes = refused.join_all().await;
        assert!(codes.iter().all(|code| *code == Code::ResourceExhausted), "{codes:?}");
    }
    server.probe.open_gate();
    assert_eq!(first.await.expect("no panic").collect().await.code(), Code::Ok);
}

#[tokio::test]
async fn every_call_is_counted_once_under_its_method_and_code() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    caller.ask(GET, "hello", &[]).await;
    caller.ask(GET, "hello", &[]).await;
    caller.ask(GET, "fail", &[]).await;
    server.probe.open_gate();
    caller.ask(WATCH, "first", &[]).await;
    let labels =
        |method| format!(r#"{{grpc_service="configapi.v1.QueryService",grpc_method="{method}""#);
    let handled = |method, code| {
        server
            .metric(&format!(r#"grpc_server_handled_total{},grpc_code="{code}"}}"#, labels(method)))
    };
    until(|| handled("Watch", "OK") == Some(1.0)).await;
    assert_eq!(handled("Get", "OK"), Some(2.0));
    assert_eq!(handled("Get", "NOT_FOUND"), Some(1.0));
    let took = |code| {
        let labels = labels("Get");
        server
            .metric(&format!(r#"grpc_server_handling_seconds_count{labels},grpc_code="{code}"}}"#))
    };
    assert_eq!((took("OK"), took("NOT_FOUND")), (Some(2.0), Some(1.0)));
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_call_that_went_well_is_logged_for_who_asks_for_it() {
    for (level, is_logged) in [(Level::DEBUG, false), (Level::TRACE, true)] {
        let lines = Lines::default();
        let written = lines.clone();
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(move || written.clone())
            .finish();
        let _logging = tracing::subscriber::set_default(log);
        let server = TestServer::start().await;
        let answer =
            server.caller().await.ask(GET, "no secret", &[("x-request-id", "call-7")]).await;
        assert_eq!(answer.code(), Code::Ok);
        let said = String::from_utf8(lines.0.lock().expect("nobody panics").clone()).expect("text");
        let line = said.lines().find(|line| line.contains("call answered"));
        assert_eq!(line.is_some(), is_logged, "{said}");
        assert!(
            line.is_none_or(|line| line.contains("call-7") && !line.contains("secret")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_as_cancelled() {
    let server = TestServer::start().await;
    let method = r#"grpc_service="configapi.v1.QueryService",grpc_method="Watch""#;
    let in_flight = format!("grpc_server_in_flight{{{method}}}");
    let caller: Caller = server.caller().await;
    let mut stream = caller.open(WATCH, "hang", &[]).await;
    stream.next().await;
    assert_eq!(server.metric(&in_flight), Some(1.0));
    drop(stream);
    until(|| server.metric(&in_flight) == Some(0.0)).await;
    let cancelled = format!(r#"grpc_server_handled_total{{{method},grpc_code="CANCELLED"}}"#);
    assert_eq!(server.metric(&cancelled), Some(1.0));
}

/// Bodies that are no request, and what the answer says of each.
fn unreadable() -> Vec<(Bytes, &'static str)> {
    vec![
        (message(b"\x0a\x02\xff\xfe"), "UTF-8"),
        (message(b"\xff\xff\xff\xff"), "failed to decode"),
        (Bytes::new(), "Missing request message"),
        (Bytes::from_static(b"\0\0\0\0\x64abc"), "Unexpected EOF"),
        (Bytes::from_static(b"\x07\0\0\0\0"), "invalid compression flag"),
        (Bytes::from_static(b"\x01\0\0\0\x07notgzip"), "Error decompressing"),
        (
            message(&vec![b'x'; MAX_MESSAGE_BYTES + 1]),
            "at once (found 1048577 bytes, the limit is: 1048576 bytes)",
        ),
    ]
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_with_a_reason() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let mut refused = 0.0;
    for path in [GET, WATCH] {
        for (body, why) in unreadable() {
            let answer = caller.ask_raw(path, body, &[("grpc-encoding", "gzip")]).await;
            assert_eq!(answer.code(), Code::InvalidArgument, "{why}: {:?}", answer.status);
            assert_eq!(answer.reason(), "INVALID_ARGUMENT", "{why}");
            assert!(answer.status.message().contains(why), "{:?}", answer.status);
            assert!(answer.request_id().is_some(), "a failure is named");
            refused += 1.0;
        }
    }
    assert_eq!(server.probe.calls(), 0);
    let handled = |method, code| {
        let labels = format!(r#"grpc_service="configapi.v1.QueryService",grpc_method="{method}""#);
        server.metric(&format!(r#"grpc_server_handled_total{{{labels},grpc_code="{code}"}}"#))
    };
    let counted = ["Get", "Watch"].map(|method| handled(method, "INVALID_ARGUMENT"));
    assert_eq!(counted, [Some(refused / 2.0); 2]);
    assert_eq!(handled("Get", "INTERNAL"), None);
}

#[tokio::test]
async fn an_encoding_that_is_not_known_is_unimplemented() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let answer = caller.ask(GET, "hello", &[("grpc-encoding", "snappy")]).await;
    assert_eq!(answer.code(), Code::Unimplemented);
}

#[tokio::test]
async fn refusals_are_counted_from_none_on() {
    let server = TestServer::start().await;
    let labels = r#"grpc_service="configapi.v1.QueryService",grpc_method="Watch""#;
    let refused =
        format!(r#"grpc_server_handled_total{{{labels},grpc_code="RESOURCE_EXHAUSTED"}}"#);
    until(|| server.metric(&refused) == Some(0.0)).await;
}

#[tokio::test]
async fn more_bytes_of_answers_than_allowed_are_refused() {
    let calls = CallLimits { max_answer_bytes: Some(4 * LARGE_BYTES), ..CallLimits::default() };
    let limits = GrpcLimits { calls, ..GrpcLimits::default() };
    let server = TestServer::with(limits, Duration::from_secs(30)).await;
    let large = "x".repeat(LARGE_BYTES);
    let caller = server.caller().await;
    // With leave for nothing, and with leave for a little, which is taken.
    for (window, headers) in [(0, &[][..]), (1, &[]), (0, &[FRAMED]), (1, &[FRAMED])] {
        let idle = Caller::connect_with_window(server.address, window).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(idle.open(GET, &large, headers).await);
        }
        let refused = caller.ask(GET, &large, headers).await;
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.reason(), "LIMIT_EXCEEDED");
        assert!(refused.items.is_empty());
        assert_eq!(caller.ask(GET, "hello", headers).await.items, ["hello"], "small ones go on");
        drop((held, idle));
        while caller.ask(GET, &large, headers).await.code() != Code::Ok {}
        // All the places are free again.
        let answers = (0..3).map(|_| caller.ask(GET, &large, headers));
        for answer in futures_util::future::join_all(answers).await {
            assert_eq!(answer.items, [large.as_str()]);
        }
    }
}

#[tokio::test]
async fn an_answer_in_its_frame_goes_out_as_it_is_and_ends_like_any_other() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let texts = ["", "hello", &"x".repeat(LARGE_BYTES)];
    for text in texts {
        let framed = caller.ask(GET, text, &[FRAMED]).await;
        let usual = caller.ask(GET, text, &[]).await;
        assert_eq!(framed.items, [text]);
        assert_eq!((framed.code(), framed.status.message()), (Code::Ok, ""));
        let names = |head: &HeaderMap| head.keys().cloned().collect::<HashSet<_>>();
        assert_eq!(names(&framed.head), names(&usual.head));
    }
    let labels = r#"grpc_service="configapi.v1.QueryService",grpc_method="Get""#;
    let handled = format!(r#"grpc_server_handled_total{{{labels},grpc_code="OK"}}"#);
    until(|| server.metric(&handled) == Some(6.0)).await;
}

#[test]
fn what_has_no_room_for_a_frame_is_left_alone() {
    for mut bytes in [Vec::new(), vec![7; FRAME_BYTES - 1]] {
        let before = bytes.clone();
        assert!(Framed::take(&mut bytes).is_none());
        assert_eq!(bytes, before);
    }
}

#[tokio::test]
async fn an_answer_that_must_not_be_refused_is_not() {
    let calls = CallLimits { max_answer_bytes: None, ..CallLimits::default() };
    let limits = GrpcLimits { calls, ..GrpcLimits::default() };
    let server = TestServer::with(limits, Duration::from_secs(30)).await;
    let large = "x".repeat(LARGE_BYTES);
    assert_eq!(server.caller().await.ask(GET, &large, &[]).await.items, [large.as_str()]);
}
