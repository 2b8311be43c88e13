//! What goes wrong, as problem details and as text.

use crate::support::{Ask, CommandServer, Got, QueryServer, Raw, TestApp, gateway_to, memory_log};

fn assert_problem(got: &Got, status: u16, code: &str) {
    let problem = got.json();
    assert_eq!(got.status, status, "{}", got.body);
    assert_eq!(got.header("content-type"), "application/problem+json");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["code"], code);
    assert_eq!(problem["type"], format!("/docs#{code}"));
    assert_eq!(problem["request_id"], got.header("x-request-id"));
    assert!(problem["title"].as_str().is_some_and(|text| !text.is_empty()));
    assert!(problem["detail"].as_str().is_some_and(|text| !text.is_empty()));
}

#[tokio::test]
async fn every_refusal_is_a_problem_for_those_who_accept_json() {
    let app = TestApp::start().await;
    let json = |text: &'static str| (text, "application/json");
    let put = |path: &str, (body, kind): (&'static str, &'static str)| {
        app.put(path).header("content-type", kind).body(body)
    };
    assert_problem(&app.get("/v1/config/a").got_json().await, 404, "CONFIG_NOT_FOUND");
    assert_problem(&app.delete("/v1/config/a").got_json().await, 404, "CONFIG_NOT_FOUND");
    app.set("a", "1").await;
    let restore = app.post("/v1/config/a/restore").got_json().await;
    assert_problem(&restore, 409, "RESTORE_REFUSED");
    app.delete("/v1/config/a").got().await;
    let gone = app.get("/v1/config/a").got_json().await;
    assert_problem(&gone, 404, "CONFIG_NOT_FOUND");
    assert_eq!(gone.json()["metadata"]["deleted"], "true");
    assert_problem(&app.delete("/v1/config/a").got_json().await, 410, "CONFIG_ALREADY_DELETED");
    let deleted = put("/v1/config/a", json(r#"{"value":"x"}"#)).got_json().await;
    assert_problem(&deleted, 409, "CONFIG_DELETED");

    let bad_json = put("/v1/config/a", json("{")).got_json().await;
    assert_problem(&bad_json, 400, "INVALID_ARGUMENT");
    assert_eq!(bad_json.json()["errors"][0]["field"], "body");
    let bad_name = app.get("/v1/config/a%20b").got_json().await;
    assert_problem(&bad_name, 400, "INVALID_ARGUMENT");
    assert_eq!(bad_name.json()["errors"][0]["field"], "name");
    let bad_time = app.get("/v1/config/a/at/now").got_json().await;
    assert_problem(&bad_time, 400, "INVALID_ARGUMENT");
    let bad_limit = app.get("/v1/config?limit=x").got_json().await;
    assert_problem(&bad_limit, 400, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn the_frameworks_own_refusals_are_problems_too() {
    let app = TestApp::start().await;
    assert_problem(&app.get("/nowhere").got_json().await, 404, "NO_SUCH_ROUTE");
    let wrong_method = app.post("/v1/config/a").got_json().await;
    assert_problem(&wrong_method, 405, "METHOD_NOT_ALLOWED");
    assert!(wrong_method.header("allow").contains("PUT"));
    let probe = app.post("/livez").got_json().await;
    assert_problem(&probe, 405, "METHOD_NOT_ALLOWED");
    let xml = app.put("/v1/config/a").header("content-type", "text/xml").body("<x/>");
    assert_problem(&xml.got_json().await, 415, "UNSUPPORTED_MEDIA_TYPE");
    let large = app.put("/v1/config/a").header("content-type", "text/plain");
    let large = large.body(vec![b'x'; 7_000_000]).got_json().await;
    assert_problem(&large, 413, "BODY_TOO_LARGE");
}

#[tokio::test]
async fn everybody_else_gets_a_short_text() {
    let app = TestApp::start().await;
    for (path, status, text) in [
        ("/v1/config/a", 404, "Not Found"),
        ("/nowhere", 404, "there is nothing at this path"),
        ("/v1/config?limit=0", 400, "limit: must be 1 to 10000"),
        ("/v1/config?view=hunter2", 400, "view: must be brief or full"),
        ("/v1/config?view=a,%20expected%20hunter2", 400, "view: must be brief or full"),
        ("/v1/config?view=", 400, "view: must be brief or full"),
        ("/v1/config/a/history?order=up", 400, "order: must be asc or desc"),
        (
            "/v1/config?at=x",
            400,
            "at: must be a time such as 2024-01-15T10:30:00Z, a position, or \
            a token such as 1-1042",
        ),
        ("/v1/diff", 400, "from: is missing"),
    ] {
        let got = app.get(path).header("accept", "*/*").got().await;
        assert_eq!(got.summary(), (status, "text/plain; charset=utf-8", text));
    }
}

/// Caches may keep a 404, a 405 and a 410 that say nothing of it, for as long as they like.
#[tokio::test]
async fn no_cache_takes_for_true_later_what_is_refused_now() {
    let app = TestApp::start().await;
    app.set("gone", "1").await;
    app.delete("/v1/config/gone").got().await;
    for (request, status) in [
        (app.get("/v1/config/a"), 404),
        (app.get("/v1/config/gone"), 404),
        (app.get("/v1/config/a/at/2024-01-15T10:30:00Z"), 404),
        (app.delete("/v1/config/gone"), 410),
        (app.get("/v1/config?limit=0"), 400),
        (app.get("/nowhere"), 404),
        (app.post("/v1/config/a"), 405),
    ] {
        for accept in ["*/*", "application/json"] {
            let again = request.try_clone().expect("it has no body");
            let got = again.header("accept", accept).got().await;
            assert_eq!((got.status, got.header("cache-control")), (status, "no-cache"), "{accept}");
        }
    }
}

#[tokio::test]
async fn a_limit_that_is_none_is_told_what_it_may_be() {
    let app = TestApp::start().await;
    for path in ["/v1/config", "/config/a/history", "/v1/diff?from=0"] {
        let separator = if path.contains('?') { '&' } else { '?' };
        for limit in ["0", "-1", "1.0", "", "x", "10001", "99999999999999999999", "%FF"] {
            let got = app.get(&format!("{path}{separator}limit={limit}")).got().await;
            assert_eq!((got.status, &*got.body), (400, "limit: must be 1 to 10000"), "{limit}");
        }
        let twice = app.get(&format!("{path}{separator}limit=1&limit=1")).got().await;
        assert_eq!(twice.body, "limit: must be said only once", "{path}");
        let most = app.get(&format!("{path}{separator}limit=10000")).got().await;
        assert_eq!(most.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_request_is_called_what_its_sender_calls_it() {
    let app = TestApp::start().await;
    let got = app.get("/v1/config/a").header("x-request-id", "mine-1").got_json().await;
    assert_eq!(
        (got.header("x-request-id"), &got.json()["request_id"]),
        ("mine-1", &"mine-1".into())
    );
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let put = app.put("/v1/config/a").header("traceparent", traceparent);
    assert_eq!(put.header("content-type", "text/plain").body("x").got().await.status, 200);
    let history = app.get("/v1/config/a/history").got().await.json();
    assert_eq!(history[0]["metadata"]["traceparent"], traceparent);
}

/// It is longer than the headers that servers take.
#[tokio::test]
async fn a_trace_that_is_none_goes_no_further() {
    let log = memory_log();
    let commands = CommandServer::start(&log, None).await;
    let queries = QueryServer::start(&log, None).await;
    let app = gateway_to(&commands, &[&queries]).await;
    app.until_healthy().await;
    let trace = "0".repeat(20_000);
    let put = app.put("/v1/config/a").header("traceparent", &trace);
    assert_eq!(put.header("content-type", "text/plain").body("x").got().await.status, 200);
    let got = app.get("/v1/config/a").header("traceparent", &trace).got().await;
    assert_eq!((got.status, &*got.body), (200, "x"));
}

#[tokio::test]
async fn what_is_no_request_gets_a_bare_status() {
    let app = TestApp::start().await;
    let head = |more: &str| format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
    for (said, status) in [
        ("hello\r\n\r\n".to_owned(), "400 Bad Request"),
        (head(&"a: b\r\n".repeat(100)), "431 Request Header Fields Too Large"),
    ] {
        let mut connection = Raw::connect(app.address).await;
        connection.say(said).await;
        let answer = connection.hear_all().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains("x-request-id"), "{answer}");
    }
}
