//! Members of bodies that mean something to a gRPC client: over REST a PUT and a DELETE say it elsewhere,
//! and what looks like a condition is not ignored in silence.

use reqwest::RequestBuilder;

use crate::support::{Ask, Raw, TestApp};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// A member, what it may say, and what is to be used in its place.
const ELSEWHERE: [(&str, &str, &str); 10] = [
    ("expected_version", "7", "the header If-Match"),
    ("expectedVersion", "0", "the header If-Match"),
    ("request_id", "\"hunter2\"", "the header Idempotency-Key"),
    ("requestId", "\"hunter2\"", "the header Idempotency-Key"),
    ("validate_only", "true", "the parameter dry_run"),
    ("validateOnly", "true", "the parameter dry_run"),
    ("dry_run", "true", "the parameter dry_run"),
    ("dryRun", "1", "the parameter dry_run"),
    ("actor", "\"hunter2\"", "the header ConfigApi-Actor"),
    ("reason", "{\"because\": [\"hunter2\"]}", "the header ConfigApi-Reason"),
];

async fn assert_refused(request: RequestBuilder, field: &str, wants: &str) {
    let got = request.got_json().await;
    assert_eq!(got.status, 400, "{field}: {}", got.body);
    let problem = got.json();
    assert_eq!(problem["code"], "INVALID_ARGUMENT");
    assert_eq!(problem["errors"][0]["field"], field);
    let detail = problem["errors"][0]["detail"].as_str().expect("a detail");
    assert!(detail.contains(wants), "{field}: {detail}");
    assert!(!got.body.contains("hunter2"), "{}", got.body);
}

async fn assert_untouched(app: &TestApp) {
    let config = app.get("/v1/config/a").got_json().await.json();
    assert_eq!((&config["value"], &config["version"]), (&"1".into(), &1.into()));
}

#[tokio::test]
async fn a_put_refuses_members_that_it_says_elsewhere() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let put = |path: &str, kind: &str, body: String| {
        app.put(path).header("content-type", kind).body(body)
    };
    let content_type = ("contentType", "\"text/x\"", "content_type");
    for (member, said, instead) in ELSEWHERE.into_iter().chain([content_type]) {
        for body in [
            format!(r#"{{"value": "2", "{member}": {said}}}"#),
            format!(r#"{{"{member}": {said}, "foreign": {{}}, "value": "2"}}"#),
        ] {
            for path in ["/v1/config/a", "/config/a"] {
                assert_refused(put(path, JSON, body.clone()), member, instead).await;
            }
        }
        let body = format!("{member}=hunter2&value=2");
        assert_refused(put("/v1/config/a", FORM, body), member, instead).await;
    }
    for (member, wants) in [("namespace", "the parameter namespace"), ("name", "in the path")] {
        let body = format!(r#"{{"value": "2", "{member}": "hunter2"}}"#);
        assert_refused(put("/v1/config/a", JSON, body.clone()), member, wants).await;
        assert_refused(put("/v1/namespaces/b/config/a", JSON, body), member, wants).await;
        let body = format!("value=2&{member}=hunter2");
        assert_refused(put("/v1/config/a", FORM, body), member, wants).await;
    }
    assert_untouched(&app).await;
    assert_eq!(app.get("/v1/namespaces/b/config/a").got().await.status, 404);
}

#[tokio::test]
async fn a_put_ignores_members_that_say_nothing_else_than_it_does_or_mean_nothing() {
    let app = TestApp::start().await;
    for (path, kind, body) in [
        ("/v1/config/a", JSON, r#"{"value": "v", "foreign": 1, "EXPECTED_VERSION": 7}"#),
        ("/v1/config/a", JSON, r#"{"value": "v", "expected_version": null, "reason": null}"#),
        ("/v1/config/a", JSON, r#"{"value": "v", "more": {"expected_version": 7}}"#),
        ("/v1/config/a", JSON, r#"{"name": "a", "value": "v", "namespace": "default"}"#),
        ("/v1/config/a", JSON, r#"{"name": "", "value": "v", "namespace": ""}"#),
        ("/v1/namespaces/b/config/x%2Fy", JSON, r#"{"name":"x/y","value":"v","namespace":"b"}"#),
        ("/v1/config/x%2Fy?namespace=b", JSON, r#"{"name":"x/y","value":"v","namespace":"b"}"#),
        ("/v1/config/a", FORM, "value=v&name=a&namespace=default&expected_version=&x=1"),
        ("/v1/config/a", "text/plain", r#"{"expected_version": 7}"#),
    ] {
        let got = app.put(path).header("content-type", kind).body(body).got().await;
        assert_eq!((got.status, &*got.body), (200, "OK"), "{path} {body}");
    }
}

#[tokio::test]
async fn a_delete_refuses_what_its_body_says_that_it_says_elsewhere() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let delete = |body: String| app.delete("/v1/config/a").body(body);
    for (member, said, instead) in ELSEWHERE {
        let body = format!(r#" {{"foreign": 1, "{member}": {said}}}"#);
        assert_refused(delete(body.clone()), member, instead).await;
        let named = delete(body).header("content-type", JSON);
        assert_refused(named, member, instead).await;
    }
    let namespace = r#"{"namespace": "hunter2"}"#.to_owned();
    assert_refused(delete(namespace), "namespace", "the parameter namespace").await;
    assert_refused(delete(r#"{"name": "hunter2"}"#.to_owned()), "name", "in the path").await;
    assert_untouched(&app).await;
    // Half of a body is no request.
    let mut half = Raw::connect(app.address).await;
    half.say("DELETE /v1/config/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{}")
        .await;
    half.end().await;
    half.hear_all().await;
    assert_untouched(&app).await;
}

#[tokio::test]
async fn a_delete_ignores_any_other_body() {
    let app = TestApp::start().await;
    app.set("large", "1").await;
    for body in [
        String::new(),
        "{}".to_owned(),
        "expected_version=7".to_owned(),
        r#"{"expected_version": 7"#.to_owned(),
        r#"["expected_version"]"#.to_owned(),
        r#"{"value": "2", "content_type": 5, "contentType": 5, "foreign": 1}"#.to_owned(),
        r#"{"name": "a", "namespace": "default", "expected_version": null}"#.to_owned(),
        format!(r#"{{"expected_version": 7, "more": "{}"}}"#, "x".repeat(4_096)),
        "[".repeat(4_000),
    ] {
        app.set("a", "1").await;
        let got = app.delete("/v1/config/a").body(body.clone()).got().await;
        assert_eq!((got.status, &*got.body), (200, "OK"), "{body}");
        assert_eq!(app.post("/v1/config/a/restore").got().await.status, 200);
    }
    let mut chunked = Raw::connect(app.address).await;
    let head = "DELETE /v1/config/large HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        transfer-encoding: chunked\r\n\r\n";
    let body = format!("2000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x2000));
    chunked.say(format!("{head}{body}")).await;
    let said = chunked.hear_all().await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
}
