//! Health as load balancers and orchestrators ask for it.

use configapi_runtime::clients::{ClientLimits, lazy_channel};
use tonic::{Code, codec::CompressionEncoding, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::support::{TestServer, soon};

fn client(server: &TestServer) -> HealthClient<Channel> {
    let uri = format!("http://{}", server.address).parse().expect("a uri");
    HealthClient::new(lazy_channel(uri, &ClientLimits::default()))
}

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn health_says_not_serving_until_told_otherwise() {
    let server = TestServer::start().await;
    let mut client = client(&server);
    for service in ["", "configapi.v1.QueryService"] {
        server.health.set_not_serving();
        let answer = client.check(about(service)).await.expect("known").into_inner();
        assert_eq!(answer.status(), ServingStatus::NotServing);
        server.health.set_serving();
        let answer = client.check(about(service)).await.expect("known").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
}

#[tokio::test]
async fn health_knows_what_it_does_not_know() {
    let server = TestServer::start().await;
    let mut client = client(&server);
    let refused = client.check(about("no.such.Service")).await.expect_err("unknown");
    assert_eq!(refused.code(), Code::NotFound);
    let mut watch = client.watch(about("no.such.Service")).await.expect("a stream").into_inner();
    let first = soon(watch.message()).await.expect("no error").expect("an item");
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
}

#[tokio::test]
async fn a_question_about_health_has_a_limit_that_counts_it_unpacked() {
    let server = TestServer::start().await;
    let mut client = client(&server).send_compressed(CompressionEncoding::Gzip);
    let refused = client.check(about(&"a".repeat(4_000))).await.expect_err("unknown");
    assert_eq!(refused.code(), Code::NotFound);
    for refused in [
        client.check(about(&"a".repeat(4_000_000))).await.expect_err("too long"),
        client.watch(about(&"a".repeat(4_000_000))).await.expect_err("too long"),
    ] {
        assert_eq!(refused.code(), Code::InvalidArgument);
        let told = refused.message();
        assert!(told.starts_with("the request is too large; send less at once"), "{told}");
        assert!(told.contains("4096 bytes"), "{told}");
    }
}

#[tokio::test]
async fn a_watcher_sees_every_flip_and_the_end() {
    let server = TestServer::start().await;
    let mut watch = client(&server).watch(about("")).await.expect("a stream").into_inner();
    let mut next = async || {
        let item = soon(watch.message()).await.expect("no error");
        item.map(|item| item.status())
    };
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    server.health.set_serving();
    assert_eq!(next().await, Some(ServingStatus::Serving));
    server.life.begin_shutdown("the test says so");
    let mut last = Vec::new();
    while let Some(status) = next().await {
        last.push(status);
    }
    assert_eq!(last.last(), Some(&ServingStatus::NotServing));
    assert!(!server.health.is_serving());
}

#[tokio::test]
async fn health_speaks_gzip_and_zstd() {
    let server = TestServer::start().await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = client(&server).send_compressed(encoding).accept_compressed(encoding);
        let answer = client.check(about("")).await.expect("understood");
        let sent = answer.metadata().get("grpc-encoding").expect("compressed").clone();
        assert_eq!(sent, if encoding == CompressionEncoding::Gzip { "gzip" } else { "zstd" });
    }
}

#[tokio::test]
async fn a_server_that_leaves_says_so_for_good_and_goes_on_answering() {
    let server = TestServer::start().await;
    server.health.set_serving();
    let mut watch = client(&server).watch(about("")).await.expect("a stream").into_inner();
    let mut next = async || {
        let item = soon(watch.message()).await.expect("no error");
        item.map(|item| item.status())
    };
    assert_eq!(next().await, Some(ServingStatus::Serving));
    server.life.begin_leaving("the test says so");
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    server.health.set_serving();
    let answer = client(&server).check(about("")).await.expect("a new connection").into_inner();
    assert_eq!(answer.status(), ServingStatus::NotServing);
    assert!(!server.life.soft().is_cancelled());
}
