//! What is not gRPC, or not the one request that a method takes, is refused before anything is done.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::support::{GET, TestServer, WATCH, message, until};

fn hello() -> Bytes {
    message(&"hello".to_owned().encode_to_vec())
}

fn request(method: Method, content_type: Option<&str>) -> Request<Full<Bytes>> {
    request_of("hello", method, content_type)
}

fn request_of(text: &str, method: Method, content_type: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(format!("http://test{GET}"));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let body = message(&text.to_owned().encode_to_vec());
    request.body(Full::new(body)).expect("a request")
}

#[tokio::test]
async fn what_is_not_grpc_is_refused_in_the_words_of_http() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let (grpc, post) = ("application/grpc", || Method::POST);
    let type_refused = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type");
    let method_refused = (StatusCode::METHOD_NOT_ALLOWED, ":method");
    let others = [
        (post(), Some("application/json"), type_refused),
        (post(), Some("application/grpc-web"), type_refused),
        (post(), Some("application/grpc-web+proto"), type_refused),
        (post(), Some(""), type_refused),
        (post(), None, type_refused),
        (Method::PUT, Some(grpc), method_refused),
        (Method::GET, Some(grpc), method_refused),
    ];
    for (method, content_type, (status, field)) in others {
        let what = format!("{method} of {content_type:?}");
        let answer = caller.send(request(method, content_type)).await;
        assert_eq!(answer.status(), status, "{what}");
        assert_eq!(answer.headers()["allow"], "POST");
        assert!(answer.headers().contains_key("x-request-id"), "a failure is named");
        let told = Status::from_header_map(answer.headers()).expect("it is told to gRPC as well");
        assert_eq!(told.code(), Code::InvalidArgument);
        let named = told.get_details_bad_request().expect("the field").field_violations;
        assert_eq!(named[0].field, field, "{what}");
    }
    assert_eq!(server.probe.calls(), 0);
    for content_type in [grpc, "application/grpc+proto", "application/grpc;x=y"] {
        let answer = caller.send(request(post(), Some(content_type))).await;
        assert_eq!(answer.status(), StatusCode::OK, "{content_type}");
    }
    assert_eq!(server.probe.calls(), 3);
}

/// As it is documented: HTTP/2 refuses it before there is a call.
#[tokio::test]
async fn metadata_beyond_the_limit_are_refused_and_far_beyond_it_end_the_connection() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let with_metadata = |bytes| {
        let mut request = request(Method::POST, Some("application/grpc"));
        let value = HeaderValue::from_bytes(&vec![b'x'; bytes]).expect("a value");
        request.headers_mut().insert("x-large", value);
        request
    };
    let fits = caller.send(with_metadata(15 << 10)).await;
    assert_eq!(fits.status(), StatusCode::OK);
    let refused = caller.send(with_metadata(20 << 10)).await;
    assert_eq!(refused.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(!refused.headers().contains_key("grpc-status"));
    assert_eq!(caller.ask(GET, "hello", &[]).await.items, ["hello"], "the connection goes on");
    let waits = request_of("wait at the gate", Method::POST, Some("application/grpc"));
    let waiting = tokio::spawn(caller.send_or_fail(waits));
    until(|| server.probe.calls() == 3).await;
    let large = tokio::spawn(caller.send_or_fail(with_metadata(100 << 10)));
    assert!(large.await.expect("no panic").is_err());
    assert!(
        waiting.await.expect("no panic").is_err(),
        "the other calls of the connection fail too"
    );
}

#[tokio::test]
async fn a_second_message_where_one_is_taken_is_refused() {
    let server = TestServer::start().await;
    let caller = server.caller().await;
    let (twice, half) = ([hello(), hello()].concat(), [&hello()[..], b"\0\0"].concat());
    for path in [GET, WATCH] {
        for body in [&twice, &half] {
            let answer = caller.ask_raw(path, body.clone().into(), &[]).await;
            assert_eq!(answer.code(), Code::InvalidArgument, "{:?}", answer.status);
            assert_eq!(answer.reason(), "INVALID_ARGUMENT");
            let message = answer.status.message();
            assert!(message.contains("more than the one message"), "{message}");
        }
    }
    assert_eq!(server.probe.calls(), 0);
    assert_eq!(caller.ask(GET, "hello", &[]).await.items, ["hello"], "the connection goes on");
}
