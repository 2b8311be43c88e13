//! Watches: live, resumable, ended with the process.

use std::time::{Duration, Instant};

use configapi_gateway::{GatewayLimits, UpstreamSettings, Upstreams};
use configapi_runtime::http::HttpLimits;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use http::{Request, StatusCode};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::{
    Ask, CommandServer, Events, QueryServer, Raw, TestApp, eventually, gateway_to, gateway_with,
    memory_log,
};

#[tokio::test]
async fn changes_come_live_and_a_client_that_comes_back_misses_nothing() {
    let app = TestApp::start().await;
    app.set("x/a", "1").await;
    app.set("y", "1").await;
    let mut events = Events::of(app.get("/v1/watch?prefix=x/&initial=true")).await;
    let config = events.named("config").await;
    assert_eq!((config.id, &config.data["name"]), (None, &"x/a".into()));
    let complete = events.named("complete").await;
    assert_eq!((complete.id.as_deref(), &complete.data["configs"]), (Some("1-2"), &1.into()));

    app.set("x/a", "2").await;
    let change = events.named("change").await;
    assert_eq!(change.data["event_type"], "ConfigValueSet");
    assert_eq!(change.data["data"]["old_value"], "1");
    assert_eq!(change.id.as_deref(), Some("1-3"));
    drop(events);

    app.set("y", "2").await;
    app.set("x/b", "3").await;
    app.delete("/v1/config/x%2Fa").got().await;
    let back = app.get("/v1/watch?prefix=x/&initial=true").header("last-event-id", "1-3");
    let mut events = Events::of(back).await;
    let ids = [events.named("change").await.id, events.named("change").await.id];
    assert_eq!(ids.map(Option::unwrap), ["1-5", "1-6"]);
}

#[tokio::test]
async fn a_client_that_cannot_set_headers_says_in_the_query_where_it_was() {
    let app = TestApp::start().await;
    for value in ["1", "2", "3"] {
        app.set("a", value).await;
    }
    let next = async |request| Events::of(request).await.named("change").await.id;
    for path in ["/v1/watch?initial=true&lastEventId=1-1", "/v1/watch?after=0&lastEventId=1-1"] {
        assert_eq!(next(app.get(path)).await.as_deref(), Some("1-2"), "{path}");
    }
    // Who comes back repeats the URL; the header is of now.
    let back = app.get("/v1/watch?lastEventId=1-1").header("last-event-id", "1-2");
    assert_eq!(next(back).await.as_deref(), Some("1-3"));
    assert_eq!(next(app.get("/v1/watch?after=0&lastEventId=")).await.as_deref(), Some("1-1"));
    for (query, detail) in [
        ("lastEventId=x", "lastEventId: must be the id of an event"),
        ("lastEventId=1-1&lastEventId=1-2", "lastEventId: must be said only once"),
    ] {
        let refused = app.get(&format!("/v1/watch?{query}")).send().await.expect("an answer");
        assert_eq!(refused.status(), 400, "{query}");
        assert_eq!(refused.text().await.expect("a text"), detail);
    }
}

#[tokio::test]
async fn all_of_history_can_be_watched() {
    let app = TestApp::start().await;
    for value in ["1", "2", "3"] {
        app.set("a", value).await;
    }
    let mut events = Events::of(app.get("/v1/watch?name=a&after=0")).await;
    for value in ["1", "2", "3"] {
        assert_eq!(events.named("change").await.data["data"]["value"], value);
    }
}

#[tokio::test]
async fn a_watch_begins_after_a_time() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let history = app.get("/v1/config/a/history").got_json().await.json();
    let time = history[0]["created_at"].as_str().unwrap().to_owned();
    app.set("a", "2").await;
    let mut events = Events::of(app.get(&format!("/v1/watch?name=a&after={time}"))).await;
    assert_eq!(events.named("change").await.data["data"]["value"], "2");
}

#[tokio::test]
async fn an_idle_watch_shows_life() {
    let limits =
        GatewayLimits { heartbeat: Duration::from_millis(100), ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    app.set("a", "1").await;
    let mut events = Events::of(app.get("/v1/watch?prefix=nothing")).await;
    assert_eq!(events.named("progress").await.id.as_deref(), Some("1-1"));
    app.set("a", "2").await;
    while events.named("progress").await.id.as_deref() != Some("1-2") {}
}

#[tokio::test]
async fn a_watch_that_cannot_begin_is_an_ordinary_refusal() {
    let limits = GatewayLimits { max_watches: 1, ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    for path in [
        "/v1/watch?name=a%20b",
        "/v1/watch?name=a&prefix=b",
        "/v1/watch?after=x",
        "/v1/watch?after=%2B5",
        "/v1/watch?after=-0",
        "/v1/watch?after=",
        "/v1/watch?after=0&initial=true",
        "/v1/watch?initial=maybe",
    ] {
        let answer = app.get(path).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{path}");
    }
    let id = app.get("/v1/watch").header("last-event-id", "x").got().await;
    assert_eq!(id.status, 400);
    let ids = app.get("/v1/watch").header("last-event-id", "1-0").header("last-event-id", "1-1");
    let twice = ids.send().await.expect("an answer");
    assert_eq!(twice.status(), 400);
    assert_eq!(twice.text().await.expect("a text"), "last-event-id: must be said only once");
    let _open = Events::of(app.get("/v1/watch")).await;
    let refused = app.get("/v1/watch").got_json().await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert_eq!(refused.json()["code"], "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a_watch_that_no_server_is_fresh_enough_for_is_told_to_come_back() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let log = memory_log();
    let commands = CommandServer::start(&log, None).await;
    let queries = QueryServer::start(&log, None).await;
    let elsewhere = gateway_to(&commands, &[&queries]).await;
    elsewhere.until_healthy().await;
    // Both say how far they are, as for any read.
    for (app, reached) in [(&app, "1-1"), (&elsewhere, "1-0")] {
        let watch = app.get("/v1/watch?after=0").header("configapi-token", "1-21");
        let late = watch.header("prefer", "wait=2").got_json().await;
        assert_eq!((late.status, late.header("retry-after")), (503, "1"), "{}", late.body);
        assert_eq!(late.json()["code"], "UNAVAILABLE");
        let told = &late.json()["metadata"];
        assert_eq!((&told["reached_token"], &told["token"]), (&reached.into(), &Value::Null));
    }
}

#[tokio::test]
async fn the_time_that_a_watch_may_take_to_begin_does_not_end_it() {
    let limits =
        GatewayLimits { heartbeat: Duration::from_millis(100), ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    app.set("a", "1").await;
    let began = Instant::now();
    let watch = app.get("/v1/watch").header("configapi-token", "1-1").header("prefer", "wait=0");
    let mut events = Events::of(watch).await;
    while began.elapsed() < Duration::from_secs(1) {
        events.named("progress").await;
    }
    app.set("a", "2").await;
    assert_eq!(events.named("change").await.id.as_deref(), Some("1-2"));
}

#[tokio::test]
async fn a_watch_ends_with_the_process() {
    let app = TestApp::start().await;
    let mut events = Events::of(app.get("/v1/watch")).await;
    assert_eq!(events.next().await.map(|event| event.name).as_deref(), Some("started"));
    app.life.begin_shutdown("the test wants it");
    while events.next().await.is_some() {}
}

const LARGE_BYTES: usize = 900_000;
/// How often a large value is set: more than the system takes off the gateway's hands for a client that
/// does not read.
const VERSIONS: usize = 20;

/// Sets a small value first, and then large ones.
async fn set_many(app: &TestApp) {
    app.set("small", "y").await;
    for _ in 0..VERSIONS {
        app.set("large", &"x".repeat(LARGE_BYTES)).await;
    }
}

/// A watch of all history that nobody reads.
async fn unread(app: &TestApp) -> Raw {
    let mut connection = Raw::connect(app.address).await;
    connection.say("GET /v1/watch?after=0 HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    connection
}

#[tokio::test]
async fn watches_without_a_reader_take_room_and_one_too_many_ends_where_it_can_go_on() {
    // For the frames of two watches, with a new value and an old one each.
    let http = HttpLimits { max_answer_bytes: 9 * LARGE_BYTES / 2, ..HttpLimits::default() };
    let app = TestApp::start_with(GatewayLimits::default(), http).await;
    set_many(&app).await;
    let held = [unread(&app).await, unread(&app).await];
    eventually(async || app.get("/v1/config/large").got().await.status == 429).await;

    let mut events = Events::of(app.get("/v1/watch?after=0")).await;
    assert_eq!(events.named("change").await.id.as_deref(), Some("1-1"));
    let problem = events.named("problem").await;
    assert_eq!((problem.id, &problem.data["code"]), (None, &"LIMIT_EXCEEDED".into()));
    assert!(problem.retry_ms.is_some_and(|wait| (1_000..=3_000).contains(&wait)));
    assert!(events.next().await.is_none(), "it was the last");

    drop(held);
    eventually(async || app.get("/v1/config/large").got().await.status == 200).await;
    let mut events = Events::of(app.get("/v1/watch").header("last-event-id", "1-1")).await;
    for position in 2..2 + VERSIONS {
        let change = events.named("change").await;
        assert_eq!(change.id, Some(format!("1-{position}")));
    }
}

#[tokio::test]
async fn watches_that_stand_still_do_not_hold_up_what_else_is_asked_of_their_server() {
    const STILL: usize = 8;
    let log = memory_log();
    let commands = CommandServer::start(&log, None).await;
    let queries = QueryServer::start(&log, None).await;
    // Longer than an answer may take.
    let http = HttpLimits { answer_timeout: Duration::from_secs(3), ..HttpLimits::default() };
    let app = gateway_with(http, &commands, &[&queries]).await;
    app.until_healthy().await;
    set_many(&app).await;
    let mut held = Vec::new();
    for _ in 0..STILL {
        held.push(unread(&app).await);
    }
    let open = async || {
        let page = app.get("/metrics").got().await.body;
        let line = page.lines().find_map(|line| line.strip_prefix("configapi_gateway_watches "));
        line.and_then(|open| open.parse::<usize>().ok()).expect("a number")
    };
    eventually(async || open().await == STILL).await;
    // They are given up only because they stood still for all that time.
    eventually(async || {
        assert_eq!(app.get("/v1/config/small").got().await.status, 200);
        open().await == 0
    })
    .await;
}

#[tokio::test]
async fn as_many_watches_of_one_query_server_are_open_as_the_gateway_allows() {
    // Each connection has room for 1,000 streams.
    const CONNECTIONS: usize = 12;
    const WATCHES_OF_EACH: usize = 100;
    let log = memory_log();
    let (commands, queries) =
        (CommandServer::start(&log, None).await, QueryServer::start(&log, None).await);
    let settings = UpstreamSettings { command_url: commands.url(), query_url: vec![queries.url()] };
    let limits =
        GatewayLimits { max_watches: CONNECTIONS * WATCHES_OF_EACH, ..GatewayLimits::default() };
    let (metrics, life) = (Metrics::new("test", "0"), Lifecycle::default());
    let upstreams = Upstreams::remote(&settings);
    let app = TestApp::before(upstreams, limits, HttpLimits::default(), metrics, life).await;
    app.until_healthy().await;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(app.address).await.expect("a connection");
        let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        for _ in 0..WATCHES_OF_EACH {
            let watch = Request::get("http://localhost/v1/watch").body(()).expect("a request");
            client = client.ready().await.expect("it goes on");
            let (answer, _) = client.send_request(watch, true).expect("it is sent");
            open.push(tokio::spawn(begun(answer)));
        }
    }
    for watch in open {
        assert_eq!(watch.await.expect("no panic"), 200);
    }
}

/// How a watch begins. It goes on, and is read.
async fn begun(answer: h2::client::ResponseFuture) -> StatusCode {
    let (head, mut events) = answer.await.expect("an answer").into_parts();
    tokio::spawn(async move {
        while let Some(Ok(piece)) = events.data().await {
            events.flow_control().release_capacity(piece.len()).expect("it was had");
        }
    });
    head.status
}
