//! Every call ends at its deadline, and says so as gRPC wants it.

use std::time::Duration;

use configapi_runtime::grpc::{CallLimits, GrpcLimits};
use tonic::Code;

use super::support::{Caller, GET, LARGE_BYTES, TestServer, WATCH, soon, until};

/// So long that a call reaches its handler by then, however busy the machine is.
const SHORT: Duration = Duration::from_secs(1);

async fn with_short_default() -> TestServer {
    let calls = CallLimits { default_timeout: SHORT, ..CallLimits::default() };
    let limits = GrpcLimits { calls, ..GrpcLimits::default() };
    TestServer::with(limits, Duration::from_secs(30)).await
}

#[tokio::test]
async fn an_expired_deadline_is_refused_before_the_handler_is_called() {
    let server = TestServer::start().await;
    let answer = server.caller().await.ask(GET, "hello", &[("grpc-timeout", "0n")]).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
    assert_eq!(answer.reason(), "DEADLINE_EXCEEDED");
    assert_eq!(server.probe.calls(), 0);
}

#[tokio::test]
async fn a_handler_slower_than_the_deadline_is_answered_for() {
    let server = TestServer::start().await;
    let answer = server.caller().await.ask(GET, "hang", &[("grpc-timeout", "1S")]).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
    assert_eq!(answer.reason(), "DEADLINE_EXCEEDED");
    assert_eq!(server.probe.calls(), 1);
}

#[tokio::test]
async fn a_handler_that_answers_at_its_deadline_goes_first() {
    let server = TestServer::start().await;
    let answer =
        server.caller().await.ask(GET, "wait for the deadline", &[("grpc-timeout", "1S")]).await;
    assert_eq!(answer.code(), Code::Ok);
}

#[tokio::test]
async fn a_call_without_a_deadline_gets_the_default_one() {
    let server = with_short_default().await;
    let answer = server.caller().await.ask(GET, "hang", &[]).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_deadline_beyond_the_limit_is_cut_to_the_limit() {
    let calls = CallLimits { max_timeout: SHORT, ..CallLimits::default() };
    let limits = GrpcLimits { calls, ..GrpcLimits::default() };
    let server = TestServer::with(limits, Duration::from_secs(30)).await;
    let answer = server.caller().await.ask(GET, "hang", &[("grpc-timeout", "99999999H")]).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_stream_outlives_the_default_deadline() {
    let server = with_short_default().await;
    let caller = server.caller().await;
    let mut stream = caller.open(WATCH, "first", &[]).await;
    assert_eq!(stream.next().await.as_deref(), Some("first"));
    // This call begins after the stream, so when its default deadline is over, so is the stream's.
    assert_eq!(caller.ask(GET, "hang", &[]).await.code(), Code::DeadlineExceeded);
    server.probe.open_gate();
    let answer = stream.collect().await;
    assert_eq!(answer.items, ["last"]);
    assert_eq!(answer.code(), Code::Ok);
}

#[tokio::test]
async fn a_stream_ends_at_the_deadline_that_its_client_set() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let answer = caller.ask(WATCH, "hang", &[("grpc-timeout", "1S")]).await;
    assert_eq!(answer.items, ["hang"]);
    assert_eq!(answer.code(), Code::DeadlineExceeded);
    assert_eq!(answer.reason(), "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn a_timeout_that_cannot_be_understood_is_refused() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    for timeout in ["", "10", "s", "10s", "123456789m", "-1S"] {
        let answer = caller.ask(GET, "hello", &[("grpc-timeout", timeout)]).await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{timeout:?}");
        assert_eq!(answer.reason(), "INVALID_ARGUMENT");
    }
    assert_eq!(server.probe.calls(), 0);
}

fn in_flight(server: &TestServer, method: &str) -> Option<f64> {
    let labels = format!(r#"grpc_service="configapi.v1.QueryService",grpc_method="{method}""#);
    server.metric(&format!("grpc_server_in_flight{{{labels}}}"))
}

/// An answer that is not taken is given up at this deadline, or at the server's own.
async fn assert_given_up(server: &TestServer, headers: &[(&str, &str)]) {
    let large = "x".repeat(LARGE_BYTES);
    // Without leave to send anything hyper waits, and with leave for a little the HTTP/2 library does.
    for window in [0, 1] {
        let caller = Caller::connect_with_window(server.address, window).await;
        let answer = soon(caller.begin(GET, &large, headers)).await;
        until(|| in_flight(server, "Get") == Some(0.0)).await;
        // Whoever reads gives leave for more, byte by byte.
        assert!(soon(answer.breaks_off()).await, "{window}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up_at_the_deadline() {
    let server = TestServer::start().await;
    assert_given_up(&server, &[("grpc-timeout", "1S")]).await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up_without_a_deadline_too() {
    let calls =
        CallLimits { default_timeout: SHORT, answer_timeout: SHORT, ..CallLimits::default() };
    let limits = GrpcLimits { calls, ..GrpcLimits::default() };
    let server = TestServer::with(limits, Duration::from_secs(30)).await;
    let caller = Caller::connect_with_window(server.address, 0).await;
    let _quiet = caller.open(WATCH, "hang", &[]).await;
    assert_given_up(&server, &[]).await;
    assert_eq!(in_flight(&server, "Watch"), Some(1.0), "a stream goes on for ever");
}
