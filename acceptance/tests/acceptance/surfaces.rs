//! What tools find without knowing us: reflection, health, and honest errors.

use configapi_acceptance::AllInOne;
use configapi_proto::v1::SetRequest;
use configapi_proto::v1::command_service_client::CommandServiceClient;
use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::{ApiError, Reason};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

async fn connect(address: std::net::SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

async fn reflected(channel: Channel) -> Vec<String> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    list.service.into_iter().map(|service| service.name).collect()
}

#[tokio::test]
async fn reflection_lists_both_services_and_health_knows_them() {
    let folder = tempfile::tempdir().unwrap();
    let system = AllInOne::start("memory:", folder.path()).await;
    let servers = [
        (system.command, "configapi.v1.CommandService"),
        (system.query, "configapi.v1.QueryService"),
    ];
    for (address, service) in servers {
        let channel = connect(address).await;
        assert!(reflected(channel.clone()).await.contains(&service.to_owned()));
        for name in ["", service] {
            let request = HealthCheckRequest { service: name.to_owned() };
            let answer = HealthClient::new(channel.clone()).check(request).await.unwrap();
            assert_eq!(answer.into_inner().status, 1, "{service} is serving");
        }
    }
}

#[tokio::test]
async fn a_service_is_unimplemented_where_it_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let system = AllInOne::start("memory:", folder.path()).await;
    let mut query = QueryServiceClient::new(connect(system.command).await);
    let status = query.get(configapi_proto::v1::GetRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let told = status.message();
    assert!(told.contains("configapi.v1.QueryService/Get"), "{told}");
    assert!(told.contains("serves configapi.v1.CommandService"), "{told}");
    assert!(told.contains("queries are at the query servers"), "{told}");
}

#[tokio::test]
async fn bad_input_is_an_invalid_argument_that_names_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let system = AllInOne::start("memory:", folder.path()).await;
    let client = CommandServiceClient::new(connect(system.command).await);
    let cases = [
        ("name", "a/../b", "1".to_owned()),
        ("name", "", "1".to_owned()),
        ("value", "a", "nul\0".to_owned()),
        ("value", "a", "x".repeat(1_000_001)),
    ];
    for (field, name, value) in cases {
        let request = SetRequest { name: name.to_owned(), value, ..SetRequest::default() };
        let error = ApiError::from_status(&client.clone().set(request).await.unwrap_err());
        assert_eq!(error.reason, Reason::InvalidArgument);
        assert_eq!(error.field_violations[0].field, field);
    }
}
