//! What bad and busy clients meet, while good ones are served.

use std::time::Duration;

use configapi_gateway::GatewayLimits;
use configapi_runtime::connections::ConnectionLimits;
use configapi_runtime::http::HttpLimits;
use futures_util::StreamExt as _;
use futures_util::future::select_all;
use futures_util::stream::FuturesUnordered;
use h2::client::ResponseFuture;
use http::Request;
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::{
    Ask, CommandServer, QueryServer, Raw, TestApp, eventually, gateway_to, memory_log,
};

fn impatient() -> HttpLimits {
    HttpLimits {
        header_read_timeout: Duration::from_millis(300),
        body_pause_timeout: Duration::from_millis(300),
        connections: ConnectionLimits {
            first_bytes_timeout: Duration::from_millis(300),
            ..ConnectionLimits::default()
        },
        ..HttpLimits::default()
    }
}

#[tokio::test]
async fn slow_and_silent_clients_are_cut_off_while_others_are_served() {
    let app = TestApp::start_with(GatewayLimits::default(), impatient()).await;
    let mut slow_header = Raw::connect(app.address).await;
    slow_header.say("PUT /v1/config/a HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await;
    let mut slow_body = Raw::connect(app.address).await;
    let head = "PUT /v1/config/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\
        content-type: text/plain\r\n\r\nabc";
    slow_body.say(head).await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(Raw::connect(app.address).await);
    }
    for round in 0..50 {
        app.set("good", &round.to_string()).await;
    }
    let answer = slow_body.hear_all().await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    slow_header.hear_all().await;
    for mut connection in idle {
        assert_eq!(connection.hear_all().await, "");
    }
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
    assert_eq!(app.get("/v1/config/good").got().await.body, "49");
}

#[tokio::test]
async fn one_request_too_many_is_told_to_come_again() {
    let limits = GatewayLimits { max_requests: 1, ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    let mut coming = begin_put(&app, 3).await;
    // It waits for something that was never written.
    let mut busy = Raw::connect(app.address).await;
    let head = "GET /v1/config/a HTTP/1.1\r\nhost: localhost\r\nconfigapi-token: 1-999\r\n\
        prefer: wait=60\r\n\r\n";
    busy.say(head).await;
    let mut refused = app.get("/v1/config/a").got_json().await;
    eventually(async || {
        refused = app.get("/v1/config/a").got_json().await;
        refused.status == 429
    })
    .await;
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(app.get("/livez").got().await.status, 200, "probes are answered all the same");
    coming.say("abc").await;
    assert!(coming.hear_all().await.starts_with("HTTP/1.1 429"));
    drop(busy);
    eventually(async || app.get("/v1/config/a").got().await.status == 404).await;
    app.set("a", "1").await;
}

/// A PUT of `a` that is being handled, and waits for a body of so many bytes.
async fn begin_put(app: &TestApp, bytes: usize) -> Raw {
    let mut connection = Raw::connect(app.address).await;
    let head = format!(
        "PUT /v1/config/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\n\
        content-type: text/plain\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
    );
    connection.say(head).await;
    connection.hear_until("100 Continue").await;
    connection
}

#[tokio::test]
async fn who_begins_requests_and_does_not_end_them_keeps_nobody_else_from_being_served() {
    const MAX_ARRIVING: usize = 4;
    let limits = GatewayLimits { max_requests: 1, ..GatewayLimits::default() };
    let connections =
        ConnectionLimits { max_arriving: MAX_ARRIVING, ..ConnectionLimits::default() };
    let app =
        TestApp::start_with(limits, HttpLimits { connections, ..HttpLimits::default() }).await;
    let stream = TcpStream::connect(app.address).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let (mut answers, mut bodies) = (Vec::new(), Vec::new());
    // One has its place with its connection.
    for _ in 0..=1 + MAX_ARRIVING {
        let request =
            Request::put("http://localhost/v1/config/a").header("content-type", "text/plain");
        client = client.ready().await.expect("it goes on");
        let sent = client.send_request(request.body(()).expect("a request"), false);
        let (answer, body) = sent.expect("it is sent");
        answers.push(answer);
        bodies.push(body);
    }
    let (refused, index, answers) = select_all(answers).await;
    assert_eq!(refused.expect("an answer").status(), 429);
    bodies.swap_remove(index);
    // Others read and write, and even those whose bodies come slowly.
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
    app.set("b", "1").await;
    let mut slow = begin_put(&app, 3).await;
    slow.say("abc").await;
    assert!(slow.hear_all().await.starts_with("HTTP/1.1 200"));
    for (answer, mut body) in answers.into_iter().zip(bodies) {
        body.send_data("d".into(), true).expect("it is sent");
        assert_eq!(answer.await.expect("an answer").status(), 200);
    }
}

#[tokio::test]
async fn who_asks_for_much_at_once_leaves_half_of_the_places_to_others() {
    const PLACES: usize = 300;
    const REQUESTS: usize = 400;
    let limits = GatewayLimits { max_requests: PLACES, ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    let mut answers: FuturesUnordered<_> =
        waiting_reads(&app, REQUESTS).await.into_iter().collect();
    for _ in PLACES / 2..REQUESTS {
        let refused = answers.next().await.expect("there is one").expect("an answer");
        assert_eq!(refused.status(), 429);
    }
    // With a body and without.
    app.set("b", "1").await;
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
}

#[tokio::test]
async fn where_any_number_is_let_in_who_asks_for_much_at_once_is_too() {
    let limits = GatewayLimits { max_requests: usize::MAX, ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    let mut answers: FuturesUnordered<_> = waiting_reads(&app, 150).await.into_iter().collect();
    let set = |i: u32| json!({"action": "set", "name": format!("b{i}"), "value": "1"});
    let body = json!({"commands": (0..999).map(set).collect::<Vec<_>>()});
    assert_eq!(app.post("/v1/apply").json(&body).got().await.status, 200);
    while let Some(answer) = answers.next().await {
        assert_eq!(answer.expect("an answer").status(), 404);
    }
}

/// So many reads over one connection that wait for something that was not written yet.
async fn waiting_reads(app: &TestApp, reads: usize) -> Vec<ResponseFuture> {
    let stream = TcpStream::connect(app.address).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..reads {
        let read = Request::get("http://localhost/v1/config/a")
            .header("configapi-token", "1-999")
            .header("prefer", "wait=60")
            .body(());
        client = client.ready().await.expect("it goes on");
        let sent = client.send_request(read.expect("a request"), true);
        answers.push(sent.expect("it is sent").0);
    }
    answers
}

#[tokio::test]
async fn calls_that_wait_at_a_server_elsewhere_do_not_hold_up_others() {
    // More than one connection to the server has room for.
    const WAITING: usize = 1_200;
    const FEW: usize = 100;
    let log = memory_log();
    let queries = QueryServer::start(&log, None).await;
    let commands = CommandServer::start(&log, None).await;
    let app = gateway_to(&commands, &[&queries]).await;
    app.until_healthy().await;
    let mut waiting = Vec::new();
    for _ in 0..WAITING / FEW {
        waiting.push(waiting_reads(&app, FEW).await);
    }
    eventually(async || queries.in_flight("Get") >= WAITING).await;
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
    app.until_healthy().await;
    drop(waiting);
    eventually(async || queries.in_flight("Get") == 0).await;
}

#[tokio::test]
async fn a_large_answer_too_many_is_a_problem_like_others() {
    const LARGE_BYTES: usize = 900_000;
    // More than the system takes off the gateway's hands.
    const UNREAD: usize = 20;
    let http = HttpLimits { max_answer_bytes: LARGE_BYTES * 3 / 2, ..HttpLimits::default() };
    let app = TestApp::start_with(GatewayLimits::default(), http).await;
    app.set("large", &"x".repeat(LARGE_BYTES)).await;
    app.set("small", "y").await;
    let mut slow = Raw::connect(app.address).await;
    slow.say("GET /v1/config/large HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(UNREAD)).await;
    let large = || app.get("/v1/config/large");
    let mut refused = large().got_json().await;
    eventually(async || {
        refused = large().got_json().await;
        refused.status == 429
    })
    .await;
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.json()["code"], "LIMIT_EXCEEDED");
    assert_eq!(app.get("/v1/config/small").got().await.body, "y");
    drop(slow);
    eventually(async || large().got().await.status == 200).await;
}

#[tokio::test]
async fn a_list_in_pages_takes_room_too() {
    const LARGE_BYTES: usize = 900_000;
    let http = HttpLimits { max_answer_bytes: 6 * LARGE_BYTES, ..HttpLimits::default() };
    let app = TestApp::start_with(GatewayLimits::default(), http).await;
    // More than the system takes off the gateway's hands.
    for number in 0..20 {
        app.set(&format!("large-{number}"), &"x".repeat(LARGE_BYTES)).await;
    }
    let mut slow = Raw::connect(app.address).await;
    slow.say("GET /v1/config HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    slow.hear_until("200 OK").await;
    let refused = app.get("/v1/config").got_json().await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert_eq!(refused.json()["code"], "LIMIT_EXCEEDED");
    assert!(slow.hear_all().await.len() > 19 * LARGE_BYTES, "who began gets all of it");
    eventually(async || app.get("/v1/config").got().await.status == 200).await;
}

#[tokio::test]
async fn large_bodies_are_bounded_together() {
    let limits = GatewayLimits { max_body_bytes_held: 1 << 20, ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    let put = |bytes| {
        app.put("/v1/config/a").header("content-type", "text/plain").body("x".repeat(bytes))
    };
    assert_eq!(put(1_000_000).got().await.status, 200);
    assert_eq!(put(1_100_000).got().await.status, 429);
    assert_eq!(put(60_000).got().await.status, 200);
}

#[tokio::test]
async fn a_body_takes_room_as_it_comes_and_not_before() {
    let app = TestApp::start().await;
    let begin = async |length: &str| {
        let mut connection = Raw::connect(app.address).await;
        let head = format!(
            "PUT /v1/config/a HTTP/1.1\r\nhost: localhost\r\n{length}\r\ncontent-type: text/plain\r\n\
            expect: 100-continue\r\nconnection: close\r\n\r\n"
        );
        connection.say(head).await;
        // Now the request is being handled, and waits for its body.
        connection.hear_until("100 Continue").await;
        connection
    };
    let mut open = Vec::new();
    for _ in 0..50 {
        let mut chunked = begin("transfer-encoding: chunked").await;
        chunked.say("1\r\nx\r\n").await;
        let mut long = begin("content-length: 6500000").await;
        long.say("x").await;
        open.extend([chunked, long]);
    }
    let put = app.put("/v1/config/b").header("content-type", "text/plain");
    assert_eq!(put.body("x".repeat(1_000_000)).got().await.status, 200);
    let mut last = begin("transfer-encoding: chunked").await;
    last.say("1\r\ny\r\n0\r\n\r\n").await;
    assert!(last.hear_all().await.starts_with("HTTP/1.1 200"));
    assert_eq!(app.get("/v1/config/a").got().await.body, "y");
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_with_the_others() {
    let limits = GatewayLimits { max_body_bytes_held: 1 << 20, ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    let put = async |chunks: usize| {
        let mut connection = Raw::connect(app.address).await;
        let head = "PUT /v1/config/a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
            content-type: text/plain\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n";
        connection.say(head).await;
        connection.hear_until("100 Continue").await;
        let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
        connection.say(format!("{}0\r\n\r\n", chunk.repeat(chunks))).await;
        connection.hear_all().await
    };
    let fits = put(60).await;
    assert!(fits.starts_with("HTTP/1.1 200"), "{fits}");
    assert_eq!(app.get("/v1/config/a").got().await.body.len(), 60 * 0x4000);
    let too_much = put(65).await;
    assert!(too_much.starts_with("HTTP/1.1 429"), "{too_much}");
    assert!(put(60).await.starts_with("HTTP/1.1 200"), "all of it was given back");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_problem_like_others() {
    let app = TestApp::start_with(GatewayLimits::default(), impatient()).await;
    for (length, begun) in
        [("content-length: 10", "abc"), ("transfer-encoding: chunked", "3\r\nabc\r\n")]
    {
        let mut slow = Raw::connect(app.address).await;
        let head = format!(
            "PUT /v1/config/a HTTP/1.1\r\nhost: localhost\r\n{length}\r\naccept: application/json\r\n\
            content-type: text/plain\r\n\r\n{begun}"
        );
        slow.say(head).await;
        let answer = slow.hear_all().await.to_lowercase();
        assert!(answer.starts_with("http/1.1 408"), "{answer}");
        assert!(answer.contains("content-type: application/problem+json"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(answer.contains("\"code\":\"request_timeout\""), "{answer}");
    }
}

#[tokio::test]
async fn the_time_for_an_answer_begins_when_the_body_is_there() {
    let limits = GatewayLimits { timeout: Duration::from_millis(300), ..GatewayLimits::default() };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    for (method, path, body) in [
        ("PUT", "/v1/config/a", r#"{"value":"1"}"#),
        ("DELETE", "/v1/config/a", "{}"),
        ("POST", "/v1/config/a/restore", "{}"),
        ("POST", "/v1/apply", r#"{"commands":[{"action":"set","name":"a","value":"2"}]}"#),
    ] {
        let mut slow = Raw::connect(app.address).await;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\
            content-type: application/json\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
        );
        slow.say(head).await;
        // Now the request is being handled, and waits for its body.
        slow.hear_until("100 Continue").await;
        // Two that began later have waited for as long as they may, one after the other.
        for _ in 0..2 {
            let late = app.get("/v1/config/a").header("configapi-token", "1-999");
            assert_eq!(late.got().await.status, 503);
        }
        slow.say(body).await;
        let answer = slow.hear_all().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
    }
}
