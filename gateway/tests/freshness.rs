//! Reading one's own writes, waiting, and tokens.

use std::time::{Duration, Instant};

use crate::support::{Ask, TestApp};

#[tokio::test]
async fn a_client_reads_its_own_writes_without_saying_anything() {
    let app = TestApp::start().await;
    for round in 0..200 {
        let value = round.to_string();
        app.set("a", &value).await;
        assert_eq!(app.get("/v1/config/a").got().await.body, value);
        assert_eq!(app.delete("/v1/config/a").got().await.status, 200);
        assert_eq!(app.get("/v1/config/a").got().await.status, 404);
        assert_eq!(app.post("/v1/config/a/restore").got().await.status, 200);
    }
}

#[tokio::test]
async fn a_read_waits_for_a_token_as_long_as_it_is_told() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let began = Instant::now();
    let read = app.get("/v1/config/a").header("configapi-token", "1-2");
    let late = read.header("prefer", "respond-async, wait=1").got_json().await;
    assert!(matches!(late.status, 503 | 504), "{}", late.body);
    assert!(began.elapsed() >= Duration::from_millis(900), "it waited {:?}", began.elapsed());
    let read = app.get("/v1/config/a").header("configapi-token", "1-2");
    let (got, _) = tokio::join!(read.got(), app.set("a", "2"));
    assert_eq!((got.status, got.body.as_str()), (200, "2"));
    for token in ["", "1", "01-1", "1-1 ", "x"] {
        let got = app.get("/v1/config/a").header("configapi-token", token).got().await;
        assert_eq!(got.status, if token == "1-1 " { 200 } else { 400 }, "{token:?}");
    }
    for level in ["any", "own-writes", "linearizable"] {
        let got = app.get(&format!("/v1/config/a?consistency={level}")).got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "2"), "{level}");
    }
    assert_eq!(app.get("/v1/config/a?consistency=strong").got().await.status, 400);
}

#[tokio::test]
async fn a_header_that_says_one_thing_is_there_once() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let read = app.get("/v1/config/a").header("configapi-token", "1-0");
    assert_eq!(read.header("configapi-token", "1-1").got().await.status, 400);
    for name in ["idempotency-key", "configapi-actor", "configapi-reason"] {
        let put = app.put("/v1/config/a").header(name, "x").header(name, "y");
        let got = put.header("content-type", "text/plain").body("2").got().await;
        assert_eq!(got.status, 400, "{name}");
    }
    assert_eq!(app.get("/v1/config/a").got().await.body, "1");
}
