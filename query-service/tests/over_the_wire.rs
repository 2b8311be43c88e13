//! The read server as clients meet it: over a connection, with deadlines, and to the end.

use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::{EventLog, MemoryLog};
use configapi_proto::Reason;
use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::v1::{
    Event, GetRequest, HistoryRequest, ListRequest, WatchRequest, event, watch_request,
    watch_response,
};
use configapi_query_service::QueryService;
use configapi_runtime::clients::{ClientLimits, lazy_channel};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::{Exit, Lifecycle};
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::support::{Writer, at_least, eventually, memory_log, quick, reason_of, token_of};

struct Wired {
    client: QueryServiceClient<Channel>,
    life: Lifecycle,
    metrics: Metrics,
}

async fn serve(log: Arc<MemoryLog>) -> Wired {
    let life = Lifecycle::new(Duration::from_secs(10));
    let metrics = Metrics::new("query", "test");
    let service = QueryService::start(log, &quick(), &metrics, &life).unwrap();
    let ready = service.readiness();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (life_of_server, metrics_of_server) = (life.clone(), metrics.clone());
    life.spawn_critical("server", async move {
        service.serve(listener, &metrics_of_server, &life_of_server).await
    });
    eventually("the server serves", async || ready().is_ok()).await;
    let uri = format!("http://{address}").parse().unwrap();
    let client = QueryServiceClient::new(lazy_channel(uri, &ClientLimits::default()));
    Wired { client, life, metrics }
}

fn get(name: &str) -> GetRequest {
    GetRequest { name: name.to_owned(), ..GetRequest::default() }
}

#[tokio::test]
async fn a_wait_that_is_too_long_ends_before_the_callers_deadline_and_says_how_far_it_got() {
    let log = memory_log(1);
    Writer::new(log.clone()).await.set("default/a", "1").await;
    let mut wired = serve(log).await;
    let mut request = Request::new(GetRequest { consistency: Some(at_least("1-9")), ..get("a") });
    request.set_timeout(Duration::from_secs(2));
    let status = wired.client.get(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(token_of(&status).as_deref(), Some("1-1"));
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_accept_it() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    for number in 0..50 {
        writer.set(&format!("default/{number}"), &"again and again ".repeat(1_000)).await;
    }
    let mut wired = serve(log).await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = wired.client.clone().accept_compressed(encoding);
        let answer = client.list(ListRequest::default()).await.unwrap();
        assert!(answer.metadata().contains_key("grpc-encoding"));
        assert_eq!(answer.into_inner().configs.len(), 50);
    }
    let plain = wired.client.list(ListRequest::default()).await.unwrap();
    assert!(!plain.metadata().contains_key("grpc-encoding"));
}

#[tokio::test]
async fn an_answer_of_any_size_is_the_same_whoever_asks() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    // From small ones to some that are larger than a frame or a window, and each size where answers may
    // begin to be sent in another way.
    let sizes: Vec<usize> = (900..1_100).chain([0, 5_000, 17_000, 70_000, 500_000]).collect();
    for size in &sizes {
        writer.set(&format!("default/{size}"), &"v".repeat(*size)).await;
    }
    let wired = serve(log).await;
    let plain = wired.client.clone();
    let gzip = wired.client.clone().accept_compressed(CompressionEncoding::Gzip);
    for mut client in [plain, gzip] {
        for size in &sizes {
            let name = size.to_string();
            let got = client.get(get(&name)).await.unwrap().into_inner().config.unwrap();
            assert_eq!((got.name.as_str(), got.value.len()), (name.as_str(), *size));
            let request = HistoryRequest { name, ..HistoryRequest::default() };
            let history = client.history(request).await.unwrap().into_inner();
            let [Event { change: Some(event::Change::ValueSet(set)), .. }] = &*history.events
            else {
                panic!("not one set: {history:?}");
            };
            assert_eq!(set.value.len(), *size);
            assert_eq!(history.state.unwrap().position, sizes.len() as u64);
        }
        let nothing = ListRequest { prefix: "none".to_owned(), ..ListRequest::default() };
        let nothing = client.list(nothing).await.unwrap().into_inner();
        assert!(nothing.configs.is_empty() && nothing.state.is_some());
    }
}

#[tokio::test]
async fn a_process_that_ends_ends_its_watches_and_drains() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let token = writer.set("default/a", "1").await;
    let mut wired = serve(log).await;
    let start = Some(watch_request::Start::AfterPosition(0));
    let request = WatchRequest { start, ..WatchRequest::default() };
    let mut frames = wired.client.watch(request).await.unwrap().into_inner();
    let started = frames.message().await.unwrap().unwrap();
    assert!(matches!(started.frame, Some(watch_response::Frame::Started(_))));
    let events = frames.message().await.unwrap().unwrap();
    assert_eq!(events.token, token);

    wired.life.begin_shutdown("the test says so");
    let status = frames.message().await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::Unavailable);
    assert_eq!(token_of(&status), Some(token));
    drop((frames, wired.client));
    assert_eq!(wired.life.finish().await, Exit::Clean);
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_its_own_watch_and_nobody_elses() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let mut wired = serve(log.clone()).await;
    let start = Some(watch_request::Start::AfterPosition(0));
    let request = WatchRequest { start, ..WatchRequest::default() };
    // Far more than any window or buffer on the way can hold.
    let large = "v".repeat(900_000);
    let mut asleep = wired.client.watch(request.clone()).await.unwrap().into_inner();
    let mut awake = wired.client.watch(request).await.unwrap().into_inner();
    let mut seen = 0;
    for number in 0..40 {
        writer.set("default/a", &format!("{number}{large}")).await;
        while seen <= number {
            let frame = awake.message().await.unwrap().unwrap();
            if let Some(watch_response::Frame::Events(events)) = frame.frame {
                seen += events.events.len();
            }
        }
    }
    let mut positions = Vec::new();
    while positions.len() < 40 {
        let frame = asleep.message().await.unwrap().unwrap();
        if let Some(watch_response::Frame::Events(events)) = frame.frame {
            positions.extend(events.events.iter().map(|event| event.position));
        }
    }
    assert_eq!(positions, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_metrics_tell_how_far_the_server_is() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/a", "1").await;
    let token = writer.set("default/b", "1").await;
    let mut wired = serve(log.clone()).await;
    let request = GetRequest { consistency: Some(at_least(&token)), ..get("b") };
    wired.client.get(request).await.unwrap();
    let page = wired.metrics.render().unwrap();
    for line in [
        "configapi_query_applied_position 2",
        "configapi_query_head_position 2",
        "configapi_query_lag_events 0",
        "configapi_query_live_configs 2",
        "configapi_query_serving 1",
        "configapi_query_watchers 0",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
    assert_eq!(log.head().await.unwrap().position.0, 2);
}
