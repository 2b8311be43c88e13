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
    let silent = json!({"action": "delete", "name": "a"});
    let two = json!({"commands": [silent, silent]});
    let got = app.post("/v1/apply?namespace=B").json(&two).got_json().await;
    assert_eq!(got.json()["errors"].as_array().map(Vec::len), Some(1), "{}", got.body);
    assert_wrong(app.post("/v1/apply?namespace=B").json(&two), "namespace").await;
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

#[tokio::test]
async fn a_parameter_that_is_said_twice_is_refused_by_its_name() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    for (path, parameters) in [
        ("/v1/config/a", &["at=1", "consistency=any", "namespace=default"][..]),
        ("/v1/config", &["prefix=a", "at=1", "view=full", "limit=1", "cursor=x", "namespace=b"]),
        ("/v1/config/a/history", &["order=asc", "limit=1", "cursor=x", "consistency=any"]),
        ("/v1/config/a/at/2100-01-01T00:00:00Z", &["consistency=any"]),
        ("/v1/diff", &["from=0", "to=1", "prefix=a", "consistency=linearizable"]),
        ("/v1/watch", &["name=a", "prefix=a", "after=0", "initial", "consistency=any"]),
        ("/v1/status", &["state_hash", "consistency=own-writes"]),
    ] {
        for parameter in parameters {
            let get = app.get(&format!("{path}?{parameter}&_=y&{parameter}"));
            assert_wrong(get, parameter.split('=').next().unwrap()).await;
        }
    }
    for parameter in ["dry_run", "content_type=a/b", "namespace=b"] {
        let put = app.put(&format!("/v1/config/a?{parameter}&{parameter}"));
        let put = put.json(&json!({"value": "2"}));
        assert_wrong(put, parameter.split('=').next().unwrap()).await;
    }
    assert_wrong(app.delete("/v1/config/a?dry_run&dry_run=false"), "dry_run").await;
    let other = app.get("/v1/config/a?consistency=any&consistency=linearizable").got().await;
    assert_eq!((other.status, &*other.body), (400, "consistency: must be said only once"));
    assert_eq!(app.get("/v1/config/a").got().await.body, "1");
}

#[tokio::test]
async fn a_parameter_that_is_wrong_is_named_as_such() {
    let app = TestApp::start().await;
    for (path, word) in [
        ("/v1/config?limit=x", "limit"),
        ("/v1/config?view=x", "view"),
        ("/v1/config/a/history?order=x", "order"),
        ("/v1/watch?initial=x", "initial"),
        ("/v1/status?state_hash=x", "state_hash"),
    ] {
        assert_wrong(app.get(path), word).await;
    }
    assert_wrong(app.get("/v1/config?prefx=a"), "prefx").await;
    assert_wrong(app.get("/v1/config?pre%20fx=a"), "query").await;
    assert_wrong(app.delete("/v1/config/a?dry_rum"), "dry_rum").await;
    assert_wrong(app.delete("/v1/config/a?dry%20run"), "query").await;
}
