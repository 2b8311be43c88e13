//! What a client is told of what it sent: its own headers, parameters and members, and never the
//! fields of the contract behind the gateway.

use reqwest::RequestBuilder;
use serde_json::json;

use crate::support::{Ask, TestApp};

/// Asserts that a request is refused for what REST calls so, in the problem and in its text.
async fn assert_wrong(request: RequestBuilder, word: &str) {
    let got = request.got_json().await;
    assert_eq!(got.status, 400, "{word}: {}", got.body);
    let problem = got.json();
    assert_eq!(problem["errors"][0]["field"], word, "{}", got.body);
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.starts_with(&format!("{word}: ")), "{detail}");
}

#[tokio::test]
async fn a_write_is_told_which_of_its_headers_is_wrong() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let long = "x".repeat(1_025);
    for header in ["idempotency-key", "configapi-actor", "configapi-reason"] {
        let put = app.put("/v1/config/a").json(&json!({"value": "2"}));
        assert_wrong(put.header(header, &long), header).await;
        assert_wrong(app.delete("/v1/config/a").header(header, &long), header).await;
        assert_wrong(app.post("/v1/config/a/restore").header(header, &long), header).await;
        let commands = json!({"commands": [{"action": "delete", "name": "a"}]});
        assert_wrong(app.post("/v1/apply").json(&commands).header(header, &long), header).await;
    }
}

#[tokio::test]
async fn a_write_is_told_which_member_of_its_body_is_wrong() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let put = |body| app.put("/v1/config/a").json(&body);
    assert_wrong(put(json!({"value": "\0"})), "value").await;
    assert_wrong(put(json!({"value": "", "content_type": "ü"})), "content_type").await;
    let typed = app.put("/v1/config/a?content_type=%C3%BC").header("content-type", "text/plain");
    assert_wrong(typed.body("1"), "content_type").await;
    let restore = app.post("/v1/config/a/restore").json(&json!({"version": 0}));
    assert_wrong(restore, "version").await;
    assert_wrong(app.delete("/v1/config/a%20b"), "name").await;
    assert_wrong(app.delete("/v1/namespaces/A/config/a"), "namespace").await;
}

#[tokio::test]
async fn a_command_of_an_apply_is_told_by_its_place_in_the_body() {
    let app = TestApp::start().await;
    for (command, member) in [
        (json!({"action": "set", "name": "b", "value": "\0"}), "value"),
        (json!({"action": "set", "name": "b", "value": "", "content_type": "ü"}), "content_type"),
        (json!({"action": "restore", "name": "b", "to": {"version": 0}}), "to.version"),
        (json!({"action": "delete", "name": "b c"}), "name"),
        (json!({"action": "delete", "name": "b", "namespace": "B"}), "namespace"),
    ] {
        let commands = json!({"commands": [{"action": "set", "name": "a", "value": ""}, command]});
        let apply = app.post("/v1/apply").json(&commands);
        assert_wrong(apply, &format!("commands[1].{member}")).await;
    }
    // What a command does not say is not wrong in it.
    let commands = json!({"commands": [
        {"action": "set", "namespace": "b", "name": "a", "value": ""},
        {"action": "set", "name": "a", "value": ""},
    ]});
    assert_wrong(app.post("/v1/apply?namespace=B").json(&commands), "namespace").await;
}

#[tokio::test]
async fn a_read_is_told_which_of_its_parameters_is_wrong() {
    let app = TestApp::start().await;
    for (path, word) in [
        ("/v1/config?cursor=x", "cursor"),
        ("/v1/config/a/history?cursor=x", "cursor"),
        ("/v1/diff?from=0&cursor=x", "cursor"),
        ("/v1/config?prefix=%20", "prefix"),
        ("/v1/diff?from=0&prefix=%20", "prefix"),
        ("/v1/watch?prefix=%20", "prefix"),
        ("/v1/config?namespace=A", "namespace"),
        ("/v1/config/a?namespace=*", "namespace"),
        ("/v1/watch?name=a%20b", "name"),
    ] {
        assert_wrong(app.get(path), word).await;
    }
    let one_of_all = app.get("/v1/watch?name=a&namespace=*").got().await;
    assert_eq!((one_of_all.status, &*one_of_all.body), (400, "name: does not go with namespace=*"));
}

#[tokio::test]
async fn a_key_of_another_command_is_called_what_the_client_calls_it() {
    let app = TestApp::start().await;
    let put = |value| {
        let put = app.put("/v1/config/a").header("idempotency-key", "k");
        put.json(&json!({ "value": value }))
    };
    assert_eq!(put("1").got().await.status, 200);
    let reused = put("2").got_json().await;
    assert_eq!((reused.status, &reused.json()["code"]), (422, &"REQUEST_ID_REUSED".into()));
    for sentence in ["title", "detail"] {
        let sentence = reused.json()[sentence].clone();
        assert!(sentence.as_str().is_some_and(|it| it.contains("Idempotency-Key")), "{sentence}");
    }
}
