//! Many changes as one.

use serde_json::json;

use crate::support::{Ask, TestApp};

#[tokio::test]
async fn an_apply_does_all_or_nothing() {
    let app = TestApp::start().await;
    app.set("old", "1").await;
    app.set("back", "1").await;
    app.set("back", "2").await;
    let body = json!({"commands": [
        {"action": "set", "name": "new", "value": "x", "content_type": "text/x"},
        {"action": "set", "namespace": "other", "name": "new", "value": "y", "expected_version": 0},
        {"action": "delete", "name": "old", "expected_version": 1},
        {"action": "restore", "name": "back", "to": {"version": 1}},
        {"action": "restore", "name": "old"},
    ]});
    let dry = app.post("/v1/apply?dry_run=true").json(&body).got().await;
    assert_eq!((dry.status, dry.header("configapi-token")), (200, ""));
    assert_eq!(app.get("/v1/config/new").got().await.status, 404);
    let got = app.post("/v1/apply").header("configapi-actor", "ada").json(&body).got().await;
    assert_eq!((got.status, got.header("content-type")), (200, "application/json"));
    assert_eq!(got.header("configapi-token"), "1-8");
    let receipts = got.json()["receipts"].clone();
    assert_eq!(receipts.as_array().map(Vec::len), Some(5));
    assert_eq!(receipts[4]["event_type"], "ConfigValueRestored");
    assert_eq!(app.get("/v1/config/back").got().await.body, "1");
    assert_eq!(app.get("/v1/namespaces/other/config/new").got().await.body, "y");

    let refused = json!({"commands": [
        {"action": "set", "name": "never", "value": "x"},
        {"action": "delete", "name": "nothing"},
    ]});
    let got = app.post("/v1/apply").json(&refused).got_json().await;
    assert_eq!(got.status, 404);
    assert_eq!(got.json()["metadata"]["command_index"], "1");
    assert_eq!(app.get("/v1/config/never").got().await.status, 404);
}

#[tokio::test]
async fn a_wrong_apply_is_told_what_is_wrong_without_repeating_values() {
    let app = TestApp::start().await;
    for (body, field) in [
        (json!({}), "body"),
        (json!({"commands": []}), "commands"),
        (
            json!({"commands": [{"action": "set", "name": "a b", "value": "hunter2"}]}),
            "commands[0].name",
        ),
        (json!({"commands": [{"action": "set", "name": "a", "value": ["hunter2"]}]}), "body"),
        (json!({"commands": [{"action": "burn", "name": "hunter2"}]}), "body"),
        (json!({"commands": [{"action": "set", "name": "a", "value": "", "hunter2": 1}]}), "body"),
        (
            json!({"commands": [{"action": "restore", "name": "a", "to": {"at": "x"}}]}),
            "commands[0].to.at",
        ),
    ] {
        let got = app.post("/v1/apply").json(&body).got_json().await;
        assert_eq!(got.status, 400, "{body}: {}", got.body);
        assert_eq!(got.json()["errors"][0]["field"], field, "{body}");
        assert!(!got.body.contains("hunter2"), "{}", got.body);
    }
    assert_eq!(app.post("/v1/apply").got().await.body, "commands: are missing");
}

#[tokio::test]
async fn the_namespace_of_the_query_is_that_of_commands_that_say_none() {
    let app = TestApp::start().await;
    let body = json!({"commands": [
        {"action": "set", "name": "a", "value": "1"},
        {"action": "set", "namespace": "other", "name": "a", "value": "2"},
        {"action": "set", "namespace": "default", "name": "b", "value": "3"},
    ]});
    let got = app.post("/v1/apply?namespace=staging").json(&body).got().await;
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
    for (path, value) in
        [("staging/config/a", "1"), ("other/config/a", "2"), ("default/config/b", "3")]
    {
        let got = app.get(&format!("/v1/namespaces/{path}")).got().await;
        assert_eq!((got.status, got.body.as_str()), (200, value), "{path}");
    }
    for wrong in ["", "*", "Staging"] {
        let got = app.post(&format!("/v1/apply?namespace={wrong}")).json(&body).got().await;
        assert_eq!(got.status, 400, "{wrong:?}: {}", got.body);
    }
}

#[tokio::test]
async fn an_apply_has_its_preconditions_in_its_commands() {
    let app = TestApp::start().await;
    let body = json!({"commands": [{"action": "set", "name": "a", "value": "1"}]});
    for (name, tag) in [("if-match", "\"7\""), ("if-match", "*"), ("if-none-match", "*")] {
        let got = app.post("/v1/apply").header(name, tag).json(&body).got().await;
        assert_eq!(got.status, 400, "{name}: {tag}");
        assert!(got.body.contains("expected_version"), "{}", got.body);
    }
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
}
