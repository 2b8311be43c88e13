//! Reflection as grpcurl (v1) and Python (v1alpha) ask for it.

use configapi_runtime::{
    clients::{ClientLimits, lazy_channel},
    shutdown::Exit,
};
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic_reflection::pb::{v1, v1alpha};

use super::support::{TestServer, soon};

const SERVED: [&str; 4] = [
    "configapi.v1.QueryService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

fn channel(server: &TestServer) -> Channel {
    let uri = format!("http://{}", server.address).parse().expect("a uri");
    lazy_channel(uri, &ClientLimits::default())
}

async fn ask_v1(
    channel: Channel,
    question: v1::server_reflection_request::MessageRequest,
) -> v1::server_reflection_response::MessageResponse {
    let request =
        v1::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::once(request)).await;
    let answer = soon(answers.expect("a stream").into_inner().message()).await;
    answer.expect("no error").expect("an answer").message_response.expect("a message")
}

#[tokio::test]
async fn reflection_v1_lists_what_is_served_and_nothing_else() {
    use v1::{
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let server = TestServer::start().await;
    let answer = ask_v1(channel(&server), MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, SERVED);
}

#[tokio::test]
async fn reflection_v1_can_explain_error_details() {
    use v1::{
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let server = TestServer::start().await;
    for symbol in ["google.rpc.ErrorInfo", "google.rpc.BadRequest", "configapi.v1.GetRequest"] {
        let question = MessageRequest::FileContainingSymbol(symbol.to_owned());
        let answer = ask_v1(channel(&server), question).await;
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{answer:?}");
    }
}

#[tokio::test]
async fn reflection_v1alpha_lists_the_same() {
    use v1alpha::{
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let server = TestServer::start().await;
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(channel(&server));
    let answers = client.server_reflection_info(tokio_stream::once(request)).await;
    let answer = soon(answers.expect("a stream").into_inner().message()).await;
    let message = answer.expect("no error").expect("an answer").message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = message else { panic!("{message:?}") };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, SERVED);
}

#[tokio::test]
async fn a_client_that_keeps_its_reflection_open_does_not_hold_up_the_end() {
    use v1::server_reflection_request::MessageRequest;
    let server = TestServer::start().await;
    let question = MessageRequest::ListServices(String::new());
    let request =
        v1::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let lasting = tokio_stream::once(request).chain(tokio_stream::pending());
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel(&server));
    let answers = client.server_reflection_info(lasting).await.expect("a stream");
    let mut answers = answers.into_inner();
    soon(answers.message()).await.expect("no error").expect("an answer");
    server.life.begin_shutdown("the test says so");
    assert!(soon(answers.message()).await.expect("no error").is_none());
    drop(client);
    assert_eq!(server.finished().await, Exit::Clean);
}
