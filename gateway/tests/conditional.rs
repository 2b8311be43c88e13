//! Requests that depend on what is there, and requests that may be repeated.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{Ask, TestApp, eventually, memory_log};

#[tokio::test]
async fn a_reader_that_has_it_already_gets_304() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let again = app.get("/v1/config/a").header("if-none-match", "\"1\"").got().await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!((again.header("etag"), again.header("configapi-token")), ("\"1\"", "1-1"));
    app.set("a", "2").await;
    let changed = app.get("/v1/config/a").header("if-none-match", "\"1\"").got().await;
    assert_eq!((changed.status, changed.body.as_str()), (200, "2"));

    for (path, state) in [
        ("/v1/config", "W/\"1-2\""),
        ("/v1/config/a/history", "W/\"1-2\""),
        ("/v1/diff?from=0", "W/\"1-0..1-2\""),
    ] {
        let tag = app.get(path).got().await.header("etag").to_owned();
        assert_eq!(tag, state);
        assert_eq!(app.get(path).header("if-none-match", &tag).got().await.status, 304, "{path}");
    }
    app.set("b", "1").await;
    let list = app.get("/v1/config").header("if-none-match", "W/\"1-2\"").got().await;
    assert_eq!(list.status, 200);
}

/// They are two representations of one resource, so no cache may take one for the other.
#[tokio::test]
async fn the_text_and_the_record_of_a_config_have_tags_of_their_own() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let at = "/v1/config/a/at/2999-01-01T00:00:00Z";
    for path in ["/v1/config/a", at] {
        let record = app.get(path).got_json().await;
        assert_eq!(record.header("etag"), "\"1-json\"", "{path}");
        let again = app.get(path).header("if-none-match", "\"1-json\"").got_json().await;
        assert_eq!((again.status, again.header("etag")), (304, "\"1-json\""), "{path}");
        // A client that holds the text has no record yet, and the other way round.
        let other = app.get(path).header("if-none-match", "\"1\"").got_json().await;
        assert_eq!((other.status, &other.body), (200, &record.body), "{path}");
        let other = app.get(path).header("if-none-match", "\"1-json\"").got().await;
        assert_eq!((other.status, other.body.as_str()), (200, "1"), "{path}");
        let both = app.get(path).header("if-none-match", "\"1\", \"1-json\"");
        assert_eq!(both.got_json().await.header("etag"), "\"1-json\"", "{path}");
    }
    // Both name the version that a write depends on.
    let put = |tag: &'static str| {
        app.put("/v1/config/a").header("if-match", tag).json(&json!({"value": "x"}))
    };
    assert_eq!(put("\"1-json\"").got_json().await.header("etag"), "\"2\"");
    assert_eq!(put("\"1-json\"").got().await.status, 412);
    assert_eq!(put("\"2\"").got().await.header("etag"), "\"3\"");
    for no_tag_of_ours in ["W/\"3-json\"", "\"03-json\"", "\"-json\"", "\"3-json-json\""] {
        assert_eq!(put(no_tag_of_ours).got().await.status, 412, "{no_tag_of_ours}");
    }
    assert_eq!(app.get("/v1/config/a").got().await.header("etag"), "\"3\"");
}

#[tokio::test]
async fn a_write_may_depend_on_the_version() {
    let app = TestApp::start().await;
    let put = |header: &'static str, tag: &'static str| {
        app.put("/v1/config/a").header(header, tag).header("content-type", "text/plain").body("x")
    };
    assert_eq!(put("if-match", "*").got().await.status, 412, "nothing is there");
    assert_eq!(put("if-match", "\"1\"").got().await.status, 412, "nothing is there");
    assert_eq!(put("if-none-match", "*").got().await.header("etag"), "\"1\"");
    assert_eq!(put("if-none-match", "*").got().await.status, 412);
    assert_eq!(put("if-match", "\"1\"").got().await.header("etag"), "\"2\"");
    assert_eq!(put("if-match", "*").got().await.header("etag"), "\"3\"");
    assert_eq!(put("if-match", "\"abc\"").got().await.status, 412);
    assert_eq!(put("if-match", "\"1\", \"3\"").got().await.status, 400);

    let conflict = put("if-match", "\"1\"").got_json().await;
    assert_eq!(conflict.status, 412);
    let problem = conflict.json();
    assert_eq!(problem["code"], "VERSION_CONFLICT");
    assert_eq!(problem["metadata"]["expected_version"], "1");
    assert_eq!(problem["metadata"]["actual_version"], "3");

    let delete = |tag| app.delete("/v1/config/a").header("if-match", tag);
    assert_eq!(delete("\"2\"").got().await.status, 412);
    assert_eq!(delete("\"3\"").got().await.status, 200);
    assert_eq!(put("if-match", "*").got().await.status, 412, "it is deleted");
    let restore = app.post("/v1/config/a/restore").header("if-match", "\"3\"");
    assert_eq!(restore.got().await.status, 412);
    let restore = app.post("/v1/config/a/restore").header("if-match", "\"4\"");
    assert_eq!(restore.got().await.status, 200);
}

#[tokio::test]
async fn a_key_makes_a_write_repeatable() {
    let app = TestApp::start().await;
    let put = |key: &'static str, value: &'static str| {
        let put = app.put("/v1/config/a").header("idempotency-key", key);
        put.header("content-type", "text/plain").body(value)
    };
    let first = put("k1", "1").got().await;
    let again = put("\"k1\"", "1").got().await;
    assert_eq!((again.status, again.header("etag")), (200, "\"1\""));
    assert_eq!(first.header("configapi-token"), again.header("configapi-token"));
    assert_eq!(put("k1", "2").got().await.status, 422);
    assert_eq!(put("", "2").got().await.status, 400);
    assert_eq!(app.get("/v1/config/a").got().await.body, "1");
}

#[tokio::test]
async fn a_dry_run_checks_everything_and_writes_nothing() {
    let app = TestApp::start().await;
    let put = |query: &str| {
        let put = app.put(&format!("/v1/config/a{query}")).header("content-type", "text/plain");
        put.body("x")
    };
    for query in ["?dry_run=true", "?dry_run", "?dry_run=1"] {
        let got = put(query).got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "OK"), "{query}");
        assert_eq!((got.header("etag"), got.header("configapi-token")), ("", ""));
    }
    let receipt = put("?dry_run=true").got_json().await.json();
    assert_eq!((receipt["version"].as_u64(), receipt["token"].as_str()), (Some(1), Some("")));
    assert_eq!(app.delete("/v1/config/a?dry_run=true").got().await.status, 404);
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
    // A misspelt wish must not become a write.
    for query in ["?dryrun=true", "?dry_run=yes", "?dry-run"] {
        assert_eq!(put(query).got().await.status, 400, "{query}");
    }
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
    assert_eq!(put("?dry_run=false").got().await.header("etag"), "\"1\"");
}

#[tokio::test]
async fn the_tag_of_a_diff_changes_with_both_of_its_ends() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    // What begins in the future moves with the present.
    let diff = "/v1/diff?from=2999-01-01T00:00:00Z&to=1";
    let before = app.get(diff).got().await;
    app.set("a", "2").await;
    let again = app.get(diff).header("if-none-match", before.header("etag")).got().await;
    assert_eq!(again.status, 200, "{} is not {}", before.body, before.header("etag"));
    assert_ne!(again.body, before.body);
}

#[tokio::test]
async fn a_write_that_wants_the_config_to_exist_is_repeatable() {
    let app = TestApp::start().await;
    let keyed = |method: Method, path: &str, key: &'static str| {
        app.request(method, path).header("if-match", "*").header("idempotency-key", key)
    };
    let put = |key, value: &'static str| {
        keyed(Method::PUT, "/v1/config/a", key).json(&json!({ "value": value }))
    };
    let delete = |key| keyed(Method::DELETE, "/v1/config/a", key);
    let restore = |key, to: u64| {
        keyed(Method::POST, "/v1/config/a/restore", key).json(&json!({ "version": to }))
    };
    // Nothing may be made by any of them.
    for refused in [put("p0", "x"), delete("d0"), restore("r0", 1)] {
        assert_eq!(refused.got().await.status, 412, "nothing is there");
    }
    app.set("a", "1").await;
    let written = put("p1", "2").got_json().await;
    assert_eq!((written.status, &written.json()["version"]), (200, &2.into()));
    let restored = restore("r1", 1).got_json().await;
    assert_eq!((restored.status, &restored.json()["version"]), (200, &3.into()));
    assert_eq!(restore("r1", 1).got_json().await.body, restored.body, "at once");
    app.set("a", "4").await;
    assert_eq!(restore("r1", 1).got_json().await.body, restored.body, "after another write");
    let deleted = delete("d1").got_json().await;
    assert_eq!((deleted.status, &deleted.json()["version"]), (200, &5.into()));

    assert_eq!(delete("d1").got_json().await.body, deleted.body);
    assert_eq!(put("p1", "2").got_json().await.body, written.body);
    assert_eq!(restore("r1", 1).got_json().await.body, restored.body);
    for refused in [put("p2", "x"), delete("d2"), restore("r2", 1)] {
        let got = refused.got_json().await;
        assert_eq!((got.status, &got.json()["code"]), (412, &"VERSION_CONFLICT".into()));
    }
    // A key of something else is still told as that.
    for reused in [put("p1", "3"), put("r1", "x"), restore("r1", 2), restore("p1", 1)] {
        assert_eq!(reused.got().await.status, 422);
    }
    assert_eq!(app.get("/v1/config/a/history").got().await.json().as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn other_writes_are_no_reason_to_refuse_one_that_wants_the_config_to_exist() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let others = async {
        for _ in 0..50 {
            app.set("a", "2").await;
        }
    };
    let restores = async {
        for _ in 0..50 {
            let restore = app.post("/v1/config/a/restore").header("if-match", "*");
            let got = restore.json(&json!({"version": 1})).got().await;
            assert_eq!(got.status, 200, "{}", got.body);
        }
    };
    tokio::join!(others, restores);
}

#[tokio::test]
async fn a_restore_that_wants_the_config_to_exist_does_not_undo_a_delete() {
    let app_on = TestApp::recorded(&memory_log()).await;
    let (app, gets) = &app_on;
    app.set("a", "1").await;
    app.set("a", "2").await;
    let racing = async |other: RequestBuilder| {
        let gate = gets.gate.lock().await;
        let restore = app.post("/v1/config/a/restore").header("if-match", "*");
        let restore = restore.json(&json!({"version": 1})).got();
        let other = async {
            eventually(async || gets.is_linearizable()).await;
            // Now the config has been looked at, but nobody knows yet what was seen.
            assert_eq!(other.got().await.status, 200);
            drop(gate);
        };
        tokio::join!(restore, other).0
    };
    let write = app.put("/v1/config/a").json(&json!({"value": "3"}));
    assert_eq!(racing(write).await.header("etag"), "\"4\"", "after the other write");
    assert_eq!(app.get("/v1/config/a").got().await.body, "1");
    assert_eq!(racing(app.delete("/v1/config/a")).await.status, 412);
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_with_a_write_is_told_before_its_precondition_fails() {
    let app = TestApp::start().await;
    app.set("other", "1").await;
    app.put("/v1/config/other")
        .header("idempotency-key", "k")
        .json(&json!({"value": "2"}))
        .got()
        .await;
    let too_long = "a".repeat(257);
    let conditions =
        [("if-match", "*"), ("if-match", "\"7\""), ("if-match", "\"abc\""), ("if-none-match", "*")];
    for (name, value) in conditions {
        // One that never was, and one that the last condition does not hold for.
        let config = if name == "if-match" { "/v1/config/never" } else { "/v1/config/other" };
        let restore = format!("{config}/restore");
        let put = |body| app.put(config).header(name, value).json(&body);
        let wrong = [
            (put(json!({"value": "a\0"})), "value"),
            (put(json!({"value": "a", "content_type": "\n"})), "content_type"),
            (
                app.delete(config).header(name, value).header("configapi-actor", &too_long),
                "configapi-actor",
            ),
            (app.post(&restore).header(name, value).json(&json!({"version": 0})), "version"),
        ];
        for (request, field) in wrong {
            let got = request.got_json().await;
            assert_eq!(got.status, 400, "{name}: {value}: {field}: {}", got.body);
            assert_eq!(got.json()["errors"][0]["field"], field, "{name}: {value}");
        }
        let reused = put(json!({"value": "a"})).header("idempotency-key", "k").got_json().await;
        assert_eq!(reused.status, 422, "{name}: {value}: {}", reused.body);
        let failed = put(json!({"value": "a"})).header("idempotency-key", "fresh").got().await;
        assert_eq!(failed.status, 412, "{name}: {value}");
    }
    assert_eq!(app.get("/v1/config/never").got().await.status, 404);
    assert_eq!(app.get("/v1/config/never/history").got().await.body, "[]");
}

#[tokio::test]
async fn a_precondition_that_fails_tells_both_versions() {
    let app = TestApp::start().await;
    app.set("gone", "1").await;
    assert_eq!(app.delete("/v1/config/gone").got().await.status, 200);
    for (config, actual) in [("/v1/config/never", "0"), ("/v1/config/gone", "2")] {
        for (tag, expected) in [("*", json!("*")), ("\"7\"", json!("7")), ("\"abc\"", json!(null))]
        {
            for request in [
                app.put(config).json(&json!({"value": "a"})),
                app.delete(config),
                app.post(&format!("{config}/restore")).json(&json!({"version": 1})),
            ] {
                let got = request.header("if-match", tag).got_json().await;
                let problem = got.json();
                assert_eq!((got.status, &problem["code"]), (412, &json!("VERSION_CONFLICT")));
                assert_eq!(problem["metadata"]["actual_version"], actual, "{tag}: {}", got.body);
                assert_eq!(problem["metadata"]["expected_version"], expected, "{tag}");
                assert!(problem["metadata"].get("deleted_version").is_none(), "{}", got.body);
            }
        }
    }
}

/// RFC 9110 has it checked of any method, and before `If-None-Match`.
#[tokio::test]
async fn a_read_may_depend_on_the_version() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    app.set("a", "2").await;
    let time = "/v1/config/a/at/2999-01-01T00:00:00Z";
    for path in ["/v1/config/a", "/config/a", "/v1/namespaces/default/config/a", time] {
        for (tags, status) in [
            ("\"2\"", 200),
            ("\"2-json\"", 200),
            ("*", 200),
            ("\"1\", \"2\"", 200),
            ("\"a,b\" ,, W/\"x\",\"2\",", 200),
            ("\"1\"", 412),
            ("\"1\", \"3-json\"", 412),
            ("W/\"2\"", 412),
            ("\"02\"", 412),
            ("\"\"", 412),
            ("", 412),
            ("2", 400),
            ("*, \"2\"", 400),
            ("\"2\" \"1\"", 400),
            ("\"2", 400),
        ] {
            for method in [Method::GET, Method::HEAD] {
                let read = || app.request(method.clone(), path).header("if-match", tags);
                let (text, record) = (read().got().await, read().got_json().await);
                assert_eq!((text.status, record.status), (status, status), "{path}: {tags}");
                if status == 200 {
                    assert_eq!(
                        (text.header("etag"), record.header("etag")),
                        ("\"2\"", "\"2-json\"")
                    );
                }
                let both = read().header("if-none-match", "\"2\"").got().await.status;
                assert_eq!(both, if status == 200 { 304 } else { status }, "{path}: {tags}");
            }
        }
    }
    let lines = app.get("/v1/config/a").header("if-match", "\"1\"").header("if-match", "\"2\"");
    assert_eq!(lines.got().await.status, 200, "a list on two lines");
    // What was is compared with what it was then.
    let was = |tag: &'static str| app.get("/v1/config/a?at=1").header("if-match", tag);
    assert_eq!(was("\"1\"").got().await.body, "1");
    assert_eq!(was("\"2\"").got().await.status, 412);
    // What is not there is no other version, but what is wrong with a request is told first.
    for (tags, status) in [("*", 404), ("\"1\"", 404), ("1", 400)] {
        let never = app.get("/v1/config/never").header("if-match", tags).got().await;
        assert_eq!(never.status, status, "{tags}");
    }
}

#[tokio::test]
async fn a_read_of_another_version_tells_both() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let read = |tags: &'static str| app.get("/v1/config/a").header("if-match", tags);
    let got = read("\"7\"").got().await;
    let told = "default/a: expected version 7, the config is at version 1";
    assert_eq!((got.status, got.body.as_str()), (412, told));
    for (tags, expected) in [("\"7\"", json!("7")), ("\"7\", \"8\"", json!(null))] {
        let problem = read(tags).got_json().await.json();
        assert_eq!(problem["code"], "VERSION_CONFLICT");
        assert_eq!(problem["metadata"]["actual_version"], "1");
        assert_eq!(problem["metadata"]["expected_version"], expected, "{tags}");
        assert_eq!(problem["metadata"]["token"], "1-1");
    }
}

/// Their tags are weak, and of those RFC 9110 wants that none is taken for the same.
#[tokio::test]
async fn a_read_of_many_may_depend_on_no_tag() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    for path in ["/v1/config", "/v1/config?limit=1", "/v1/config/a/history", "/v1/diff?from=0"] {
        let tag = app.get(path).got().await.header("etag").to_owned();
        assert!(tag.starts_with("W/"), "{tag}");
        for method in [Method::GET, Method::HEAD] {
            let read = |tags: &str| app.request(method.clone(), path).header("if-match", tags);
            for (tags, status) in [("*", 200), (&tag, 412), ("\"1\"", 412), ("1", 400)] {
                assert_eq!(read(tags).got().await.status, status, "{method} {path}: {tags}");
            }
            let met = read("*").header("if-none-match", &tag).got().await;
            assert_eq!(met.status, 304, "{method} {path}");
            let unmet = read(&tag).header("if-none-match", &tag).got().await;
            assert_eq!(unmet.status, 412, "{method} {path}");
        }
        let problem = app.get(path).header("if-match", &tag).got_json().await.json();
        assert_eq!(problem["code"], "VERSION_CONFLICT", "{path}");
        assert_eq!(problem["metadata"], json!({"token": "1-1"}), "{path}");
    }
}
