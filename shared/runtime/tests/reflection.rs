//! Reflection as grpcurl (v1) and Python (v1alpha) ask for it.

use configapi_runtime::{
    clients::{ClientLimits, lazy_channel},
    shutdown::Exit,
};
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, codec::CompressionEncoding, transport::Channel};
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

/// What is told of a name that is not there.
const NOT_THERE: (i32, &str) = (5, "nothing of this name is described here");

#[tokio::test]
async fn reflection_v1_tells_of_what_is_not_there_and_goes_on() {
    use v1::{
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let server = TestServer::start().await;
    let questions = [
        Some(MessageRequest::FileContainingSymbol("no.such.Thing".to_owned())),
        Some(MessageRequest::FileByFilename("no/such.proto".to_owned())),
        Some(MessageRequest::FileContainingExtension(v1::ExtensionRequest::default())),
        None,
        Some(MessageRequest::ListServices(String::new())),
    ]
    .map(|message_request| v1::ServerReflectionRequest { host: "me".to_owned(), message_request });
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel(&server));
    let answers = client.server_reflection_info(tokio_stream::iter(questions.clone())).await;
    let mut answers = answers.expect("a stream").into_inner();
    let mut told = Vec::new();
    for question in questions {
        let answer = soon(answers.message()).await.expect("no error").expect("an answer");
        assert_eq!(answer.original_request, Some(question));
        assert_eq!(answer.valid_host, "me");
        match answer.message_response.expect("a message") {
            MessageResponse::ErrorResponse(error) => {
                told.push((error.error_code, error.error_message));
            }
            MessageResponse::ListServicesResponse(list) => assert_eq!(list.service.len(), 4),
            other => panic!("{other:?}"),
        }
    }
    let told: Vec<_> = told.iter().map(|(code, message)| (*code, message.as_str())).collect();
    let others =
        [(5, "no extensions are described here"), (3, "it asks for nothing that is known here")];
    assert_eq!(told, [[NOT_THERE; 2], others].concat());
    assert!(soon(answers.message()).await.expect("no error").is_none());
}

#[tokio::test]
async fn reflection_v1alpha_goes_on_as_well() {
    use v1alpha::{
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let server = TestServer::start().await;
    let questions = ["no.such.Thing", "configapi.v1.QueryService"].map(|symbol| {
        let question = MessageRequest::FileContainingSymbol(symbol.to_owned());
        v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(question) }
    });
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(channel(&server));
    let answers = client.server_reflection_info(tokio_stream::iter(questions)).await;
    let mut answers = answers.expect("a stream").into_inner();
    let mut next = async || {
        let answer = soon(answers.message()).await.expect("no error").expect("an answer");
        answer.message_response.expect("a message")
    };
    let MessageResponse::ErrorResponse(error) = next().await else { panic!("it is not there") };
    assert_eq!((error.error_code, &*error.error_message), NOT_THERE);
    assert!(matches!(next().await, MessageResponse::FileDescriptorResponse(_)));
}

/// What clients need to describe a call: every name, whatever it is of, and every file, by those that
/// import it.
#[tokio::test]
async fn every_symbol_and_every_file_that_is_imported_is_described() {
    use v1::{
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let server = TestServer::start().await;
    let file = async |question| {
        let answer = ask_v1(channel(&server), question).await;
        let MessageResponse::FileDescriptorResponse(files) = answer else { panic!("{answer:?}") };
        FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice()).expect("a file")
    };
    let mut files = Vec::new();
    for symbol in [
        "configapi.v1.QueryService.Watch",
        "configapi.v1.WatchRequest",
        "configapi.v1.WatchRequest.InitialState",
        "configapi.v1.WatchRequest.after_token",
        "configapi.v1.WatchRequest.start",
        "configapi.v1.EventKind",
        "grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING",
    ] {
        files.push(file(MessageRequest::FileContainingSymbol(symbol.to_owned())).await);
    }
    assert_eq!(files[0].name(), "configapi/v1/query_service.proto");
    while let Some(importing) = files.pop() {
        for imported in importing.dependency {
            files.push(file(MessageRequest::FileByFilename(imported)).await);
        }
    }
}

/// That what was asked is too long, with how long it may be.
fn is_told_the_limit(refused: &Status) {
    assert_eq!(refused.code(), Code::InvalidArgument);
    let told = refused.message();
    assert!(told.starts_with("the request is too large; send less at once"), "{told}");
    assert!(told.contains("4096 bytes"), "{told}");
}

#[tokio::test]
async fn a_question_has_a_limit_that_counts_it_unpacked() {
    use v1::{
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let server = TestServer::start().await;
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut client =
            v1::server_reflection_client::ServerReflectionClient::new(channel(&server));
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        let questions = [4_000, 4_000_000].map(|bytes| v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::FileByFilename("a".repeat(bytes))),
        });
        let lasting = tokio_stream::iter(questions.clone()).chain(tokio_stream::pending());
        let answers = client.server_reflection_info(lasting).await.expect("a stream");
        let mut answers = answers.into_inner();
        let first = soon(answers.message()).await.expect("no error").expect("an answer");
        assert_eq!(first.original_request.as_ref(), questions.first());
        let Some(MessageResponse::ErrorResponse(error)) = first.message_response else {
            panic!("it is not there")
        };
        assert_eq!((error.error_code, &*error.error_message), NOT_THERE);
        is_told_the_limit(&soon(answers.message()).await.expect_err("too long"));
    }
}

#[tokio::test]
async fn a_question_in_v1alpha_has_the_same_limit() {
    let server = TestServer::start().await;
    let question =
        v1alpha::server_reflection_request::MessageRequest::FileByFilename("a".repeat(4_000_000));
    let request =
        v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let lasting = tokio_stream::once(request).chain(tokio_stream::pending());
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(channel(&server))
            .send_compressed(CompressionEncoding::Gzip);
    let answers = client.server_reflection_info(lasting).await.expect("a stream");
    is_told_the_limit(&soon(answers.into_inner().message()).await.expect_err("too long"));
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
