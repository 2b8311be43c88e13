//! Many changes as one.

use serde_json::{Value, json};

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
async fn whoever_reads_text_is_told_which_config_an_apply_was_refused_for() {
    let app = TestApp::start().await;
    let delete = |name: &str| json!({"action": "delete", "name": name});
    app.set("a", "1").await;
    for (names, status, wanted) in [
        (["a", "nothing"], 404, "default/nothing: the config never existed"),
        (["a", "a"], 410, "default/a: the config is deleted already, since version 2"),
    ] {
        let body = json!({"commands": names.map(delete)});
        let got = app.post("/v1/apply").json(&body).got().await;
        assert_eq!((got.status, got.body.as_str()), (status, wanted));
    }
    assert_eq!(app.get("/v1/config/nothing").got().await.body, "Not Found");
}

#[tokio::test]
async fn a_wrong_apply_is_told_what_is_wrong_without_repeating_values() {
    let app = TestApp::start().await;
    let one = |command: Value| json!({ "commands": [command] });
    for (body, field) in [
        (json!({}), "commands"),
        (json!({"commands": []}), "commands"),
        (json!({"commands": "hunter2"}), "commands"),
        (json!({"commands": ["hunter2"]}), "commands[0]"),
        (json!({"commands": [], "hunter2": []}), "body"),
        (one(json!({"action": "set", "name": "a b", "value": "hunter2"})), "commands[0].name"),
        (one(json!({"action": "set", "name": "a", "value": "", "hunter2": 1})), "commands[0]"),
        (one(json!({"action": "restore", "name": "a", "to": {"at": "x"}})), "commands[0].to.at"),
        (one(json!({"action": "restore", "name": "a", "to": {"hunter2": 1}})), "commands[0].to"),
    ] {
        let got = app.post("/v1/apply").json(&body).got_json().await;
        assert_eq!(got.status, 400, "{body}: {}", got.body);
        assert_eq!(got.json()["errors"][0]["field"], field, "{body}");
        assert!(!got.body.contains("hunter2"), "{}", got.body);
    }
    assert_eq!(app.post("/v1/apply").got().await.body, "commands: are missing");
}

#[tokio::test]
async fn an_apply_of_too_many_commands_is_told_how_many_it_may_have() {
    let app = TestApp::start().await;
    let set = |index: usize| json!({"action": "set", "name": format!("a{index}"), "value": "1"});
    let mut commands: Vec<Value> = (0..1_000).map(set).collect();
    // What is no command is one too many all the same.
    for more in [json!({}), json!("hunter2"), set(1_002)] {
        commands.push(more);
        let body = json!({ "commands": commands });
        let got = app.post("/v1/apply").json(&body).got_json().await;
        let problem = got.json();
        assert_eq!((got.status, &problem["errors"][0]["field"]), (400, &"commands".into()));
        let told = format!("must be 1 to 1000, are {}", commands.len());
        assert_eq!(problem["errors"][0]["detail"], told);
    }
    commands.truncate(1_000);
    assert_eq!(app.get("/v1/config/a0").got().await.status, 404);
    let got = app.post("/v1/apply").json(&json!({ "commands": commands })).got().await;
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(app.get("/v1/config/a999").got().await.status, 200);
}

#[tokio::test]
async fn a_member_of_the_wrong_kind_is_told_by_its_place_and_what_belongs_there() {
    let app = TestApp::start().await;
    for (command, wrong) in [
        (json!({"action": "set", "name": "a", "value": ["hunter2"]}), "value: must be a string"),
        (json!({"value": "hunter2", "name": 5, "action": "set"}), "name: must be a string"),
        (json!({"action": "set", "name": "a"}), "value: is missing"),
        (json!({"action": "delete"}), "name: is missing"),
        (json!({"name": "hunter2"}), "action: is missing"),
        (json!({"action": 0, "name": "hunter2"}), "action: must be a string"),
        (json!({"action": "hunter2", "name": "a"}), "action: must be set, delete or restore"),
        (
            json!({"action": "delete", "name": "a", "value": "hunter2"}),
            "value: does not go with delete",
        ),
        (
            json!({"action": "set", "name": "a", "value": "hunter2", "to": null}),
            "to: does not go with set",
        ),
        (
            json!({"action": "delete", "name": "a", "expected_version": "hunter2"}),
            "expected_version: must be a whole number that is not negative",
        ),
        (
            json!({"action": "restore", "name": "a", "to": {"version": -1}}),
            "to.version: must be a whole number that is not negative",
        ),
        (json!({"action": "restore", "name": "a", "to": {"at": 5}}), "to.at: must be a string"),
        (json!({"action": "restore", "name": "a", "to": 5}), "to: must be a JSON object"),
    ] {
        let right = json!({"action": "set", "name": "a", "value": ""});
        let apply = app.post("/v1/apply").json(&json!({"commands": [right, command]}));
        let got = apply.got_json().await;
        assert_eq!(got.status, 400, "{command}: {}", got.body);
        let problem = got.json();
        assert_eq!(problem["detail"], format!("commands[1].{wrong}"));
        let (member, wants) = wrong.split_once(": ").unwrap();
        assert_eq!(problem["errors"][0]["field"], format!("commands[1].{member}"));
        assert_eq!(problem["errors"][0]["detail"], wants);
        assert!(!got.body.contains("hunter2"), "{}", got.body);
    }
    app.set("a", "1").await;
    for (target, wrong) in [
        (json!({"version": "1"}), "version: must be a whole number that is not negative"),
        (json!({"at": null}), "at: must be a string"),
    ] {
        let restore = app.post("/v1/config/a/restore").json(&target).got().await;
        assert_eq!((restore.status, restore.body.as_str()), (400, wrong));
    }
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
