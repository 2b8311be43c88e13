//! Watches of browsers, whose `EventSource` comes back after the end of a stream, and never after an
//! answer other than 200.

use std::ops::RangeInclusive;
use std::time::Duration;

use configapi_gateway::{Gateway, GatewayLimits, UpstreamSettings, Upstreams};
use configapi_proto::{ApiError, Reason};
use configapi_runtime::http::HttpLimits;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use reqwest::RequestBuilder;

use crate::support::{Ask, Event, Events, StartingGateway, TestApp, eventually, memory_log};

/// When clients come back that nobody told to wait longer.
const SOON_MS: RangeInclusive<u64> = 1_000..=3_000;

/// As a browser asks.
fn of_browser(request: RequestBuilder) -> RequestBuilder {
    request.header("accept", "text/event-stream").header("origin", "http://localhost:8080")
}

/// The one event that a watch consists of which could not begin.
async fn refused(request: RequestBuilder, code: &str) -> Event {
    let mut events = Events::of(of_browser(request)).await;
    let problem = events.next().await.expect("a problem");
    assert_eq!((&*problem.name, &problem.data["code"]), ("problem", &code.into()));
    assert_eq!(problem.id, None, "it goes on where it was");
    assert_ne!(problem.data["request_id"], "");
    assert!(events.next().await.is_none(), "it was the last");
    problem
}

#[tokio::test]
async fn who_finds_the_gateway_full_of_watches_is_told_to_come_back() {
    let limits = GatewayLimits { max_watches: 1, ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    let open = Events::of(of_browser(app.get("/v1/watch"))).await;
    let problem = refused(app.get("/v1/watch?prefix=x/"), "LIMIT_EXCEEDED").await;
    assert_eq!(problem.data["status"], 429);
    assert!(SOON_MS.contains(&problem.retry_ms.expect("a time")), "{problem:?}");
    // Whoever looks after the gateway sees what it stands for.
    let counted = r#"http_server_requests_total{method="GET",route="/v1/watch",status="429"} 1"#;
    let metrics = app.get("/metrics").got().await;
    assert!(metrics.body.contains(counted), "{}", metrics.body);
    for accept in ["*/*", "text/*", "application/json", "text/event-stream;q=0"] {
        let got = app.get("/v1/watch").header("accept", accept).got().await;
        assert_eq!((got.status, got.header("retry-after")), (429, "1"), "{accept}");
    }
    let also = app.get("/v1/watch").header("accept", "text/html, Text/Event-Stream;q=0.5");
    let got = also.got().await;
    assert_eq!((got.status, got.header("content-type")), (200, "text/event-stream"));
    assert_eq!(got.header("cache-control"), "no-cache");
    drop(open);
    // And once there is room, the watch that comes back begins.
    eventually(async || {
        let mut events = Events::of(of_browser(app.get("/v1/watch"))).await;
        events.next().await.is_some_and(|event| event.name == "started")
    })
    .await;
}

#[tokio::test]
async fn those_who_are_sent_away_together_do_not_come_back_together() {
    let limits = GatewayLimits { max_watches: 0, ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    let mut times = Vec::new();
    for _ in 0..20 {
        times.extend(refused(app.get("/v1/watch"), "LIMIT_EXCEEDED").await.retry_ms);
    }
    assert!(times.iter().all(|time| SOON_MS.contains(time)), "{times:?}");
    assert!(times.iter().any(|time| *time != times[0]), "{times:?}");
}

#[tokio::test]
async fn who_finds_the_gateway_full_of_requests_is_told_to_come_back_for_his_page_to_see() {
    let limits = GatewayLimits { max_requests: 0, ..GatewayLimits::default() };
    let (metrics, life) = (Metrics::new("test", "0"), Lifecycle::default());
    let nowhere = UpstreamSettings {
        command_url: http::Uri::from_static("http://127.0.0.1:1"),
        query_url: vec![http::Uri::from_static("http://127.0.0.1:1")],
    };
    let gateway = Gateway::new(Upstreams::remote(&nowhere), limits, &metrics, &life);
    let app = TestApp::serve(gateway, "127.0.0.1:0", HttpLimits::default(), life).await;
    refused(app.get("/v1/watch"), "LIMIT_EXCEEDED").await;
    let got = of_browser(app.get("/v1/watch")).got().await;
    assert_eq!(got.header("access-control-allow-origin"), "http://localhost:8080");
    assert_ne!(got.header("x-request-id"), "");
    for path in ["/v1/config/a", "/v1/status", "/v1/watch/"] {
        assert_eq!(of_browser(app.get(path)).got().await.status, 429, "{path}");
    }
    assert_eq!(of_browser(app.post("/v1/watch")).got().await.status, 429);
}

#[tokio::test]
async fn a_watch_that_no_server_can_begin_is_told_to_come_back_when_the_server_says() {
    let (app, wishes) = TestApp::recorded(&memory_log()).await;
    app.set("a", "1").await;
    let ahead = app.get("/v1/watch?after=0").header("configapi-token", "1-21");
    let problem = refused(ahead.header("prefer", "wait=2"), "UNAVAILABLE").await;
    assert_eq!(problem.data["status"], 503);
    assert_eq!(problem.data["metadata"]["reached_token"], "1-1");
    assert!(SOON_MS.contains(&problem.retry_ms.expect("a time")), "{problem:?}");

    let busy = ApiError::new(Reason::LimitExceeded, "busy");
    let busy = busy.with_retry_after(Duration::from_secs(7));
    wishes.no_watches.set(busy).expect("only once");
    let problem = refused(app.get("/v1/watch"), "LIMIT_EXCEEDED").await;
    assert!((7_000..=9_000).contains(&problem.retry_ms.expect("a time")), "{problem:?}");
}

#[tokio::test]
async fn what_coming_back_does_not_mend_is_refused_with_its_status() {
    let app = TestApp::start().await;
    for (path, status) in [("/v1/watch?name=a%20b", 400), ("/v1/watch?nonsense", 400)] {
        assert_eq!(of_browser(app.get(path)).got().await.status, status, "{path}");
    }
    let lost = of_browser(app.get("/v1/watch")).header("last-event-id", "9-1").got().await;
    assert_eq!(lost.status, 409);
    let foreign = of_browser(app.get("/v1/watch")).header("host", "rebound.example").got().await;
    assert_eq!(foreign.status, 403);
}

#[tokio::test]
async fn a_gateway_that_starts_tells_browsers_to_come_back() {
    let gateway = StartingGateway::start("starting: there is no store").await;
    let get = |path: &str| gateway.get(path);
    let problem = refused(get("/v1/watch?after=0"), "UNAVAILABLE").await;
    assert_eq!(problem.data["detail"], "starting: there is no store");
    assert!(SOON_MS.contains(&problem.retry_ms.expect("a time")), "{problem:?}");
    let got = of_browser(get("/v1/watch")).got().await;
    assert_eq!(got.header("access-control-allow-origin"), "http://localhost:8080");
    assert_eq!(get("/v1/watch").got().await.status, 503);
    assert_eq!(of_browser(get("/v1/config/a")).got().await.status, 503);
    let foreign = of_browser(get("/v1/watch")).header("host", "rebound.example").got().await;
    assert_eq!(foreign.status, 403);
}
