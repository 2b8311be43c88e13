//! What old clients send and get, in the order in which one would, byte for byte.

use crate::support::{Ask, TestApp};

const TEXT: &str = "text/plain; charset=utf-8";

async fn everything_an_old_client_does(prefix: &str) {
    let app = TestApp::start().await;
    let path = |rest: &str| format!("{prefix}{rest}");
    let got = app.get(&path("/config")).got().await;
    assert_eq!(got.summary(), (200, "application/json", "[]"));
    let got = app.get(&path("/config/greeting")).got().await;
    assert_eq!(got.summary(), (404, TEXT, "Not Found"));
    let got = app.get(&path("/config/greeting/history")).got().await;
    assert_eq!(got.summary(), (200, "application/json", "[]"));

    let body = r#"{"value": "hello"}"#;
    let put = || app.put(&path("/config/greeting")).header("content-type", "application/json");
    let got = put().body(body).got().await;
    assert_eq!(got.summary(), (200, TEXT, "OK"));
    assert_eq!((got.header("etag"), got.header("configapi-token")), ("\"1\"", "1-1"));
    let got = app.get(&path("/config/greeting")).got().await;
    assert_eq!(got.summary(), (200, TEXT, "hello"));
    assert_eq!(got.header("etag"), "\"1\"");

    let got = put().body(r#"{"value": "bye"}"#).got().await;
    assert_eq!(got.summary(), (200, TEXT, "OK"));
    let got = app.get(&path("/config/greeting")).got().await;
    assert_eq!(got.summary(), (200, TEXT, "bye"));
    let got = app.get(&path("/config")).got().await;
    let listed = r#"[{"name":"greeting","value":"bye"}]"#;
    assert_eq!(got.summary(), (200, "application/json", listed));

    let got = app.get(&path("/config/greeting/history")).got().await;
    let history = got.json();
    assert_eq!(history.as_array().map(Vec::len), Some(2));
    let first_time = history[0]["data"]["timestamp"].as_str().expect("a time");
    for (index, value, old_value) in [(0, "hello", None), (1, "bye", Some("hello"))] {
        let row = &history[index];
        assert_eq!(row["event_type"], "ConfigValueSet");
        assert_eq!(row["data"]["config_name"], "greeting");
        assert_eq!(row["data"]["value"], value);
        assert_eq!(row["data"]["old_value"].as_str(), old_value);
        assert_eq!(row["created_at"], row["data"]["timestamp"]);
        assert_eq!(row["stream_version"], index + 1);
        assert_eq!(row["metadata"]["position"], index + 1);
    }
    let got = app.get(&path(&format!("/config/greeting/at/{first_time}"))).got().await;
    assert_eq!(got.summary(), (200, TEXT, "hello"));
    let got = app.get(&path("/config/greeting/at/2001-01-01T00:00:00Z")).got().await;
    assert_eq!(got.summary(), (404, TEXT, "Not Found"));
    let got = app.get(&path("/config/greeting/at/yesterday")).got().await;
    let invalid = "Invalid timestamp format. Use ISO8601 (e.g., 2024-01-15T10:30:00Z)";
    assert_eq!(got.summary(), (400, TEXT, invalid));

    let got = app.delete(&path("/config/greeting")).got().await;
    assert_eq!(got.summary(), (200, TEXT, "OK"));
    let got = app.get(&path("/config/greeting")).got().await;
    assert_eq!(got.summary(), (404, TEXT, "Not Found"));
    let got = app.delete(&path("/config/greeting")).got().await;
    assert_eq!(got.summary(), (410, TEXT, "Gone"));
    let got = app.delete(&path("/config/never")).got().await;
    assert_eq!(got.summary(), (404, TEXT, "Not Found"));
    let got = put().body(body).got().await;
    assert_eq!((got.status, got.header("content-type")), (409, TEXT));
    assert!(got.body.to_lowercase().contains("restore"), "{}", got.body);

    let got = app.post(&path("/config/greeting/restore")).got().await;
    assert_eq!(got.summary(), (200, TEXT, "OK"));
    let got = app.get(&path("/config/greeting")).got().await;
    assert_eq!(got.summary(), (200, TEXT, "bye"));
    let history = app.get(&path("/config/greeting/history")).got().await.json();
    assert_eq!(history[2]["event_type"], "ConfigValueDeleted");
    assert_eq!(history[2]["data"]["deleted_value"], "bye");
    assert_eq!(history[3]["event_type"], "ConfigValueRestored");
    assert_eq!(history[3]["data"]["restored_version"], 2);
    assert!(history[3]["data"]["old_value"].is_null());
}

#[tokio::test]
async fn an_old_client_gets_what_it_always_got() {
    everything_an_old_client_does("").await;
}

#[tokio::test]
async fn the_versioned_routes_are_the_same() {
    everything_an_old_client_does("/v1").await;
}

#[tokio::test]
async fn every_namespace_has_the_same_routes() {
    everything_an_old_client_does("/v1/namespaces/payments-2").await;
}

#[tokio::test]
async fn namespaces_do_not_see_each_other() {
    let app = TestApp::start().await;
    app.set("limit", "1").await;
    let body = serde_json::json!({"value": "2"});
    let got = app.put("/v1/namespaces/payments/config/limit").json(&body).got().await;
    assert_eq!(got.status, 200);
    assert_eq!(app.get("/v1/config/limit").got().await.body, "1");
    assert_eq!(app.get("/v1/namespaces/payments/config/limit").got().await.body, "2");
    assert_eq!(app.get("/v1/config/limit?namespace=payments").got().await.body, "2");
    let listed = app.get("/v1/namespaces/payments/config").got().await.body;
    assert_eq!(listed, r#"[{"name":"limit","value":"2"}]"#);
    let listed = app.get("/v1/config?namespace=*").got().await.json();
    assert_eq!(
        listed,
        serde_json::json!([
            {"namespace": "default", "name": "limit", "value": "1"},
            {"namespace": "payments", "name": "limit", "value": "2"},
        ])
    );
    let both = app.get("/v1/namespaces/payments/config/limit?namespace=default").got().await;
    assert_eq!(both.status, 400);
    assert_eq!(app.get("/v1/namespaces/Payments/config/limit").got().await.status, 400);
}

#[tokio::test]
async fn whoever_accepts_json_gets_records_and_receipts() {
    let app = TestApp::start().await;
    let put = app.put("/v1/config/a?content_type=application%2Fyaml");
    let put = put.header("configapi-actor", "ada").header("configapi-reason", "because — ja");
    let put = put.header("content-type", "text/plain").header("idempotency-key", "\"k-1\"");
    let receipt = put.body("x: 1").got_json().await;
    assert_eq!((receipt.status, receipt.header("content-type")), (200, "application/json"));
    let json = receipt.json();
    assert_eq!(json["event_type"], "ConfigValueSet");
    assert_eq!((json["version"].as_u64(), json["position"].as_u64()), (Some(1), Some(1)));
    assert_eq!((&json["token"], &json["request_id"]), (&"1-1".into(), &"k-1".into()));
    assert_eq!(json["hash"].as_str().map(str::len), Some(64));

    let record = app.get("/v1/config/a").got_json().await;
    assert_eq!(record.header("content-type"), "application/json");
    assert_eq!(record.header("configapi-content-type"), "application/yaml");
    assert_eq!(record.header("vary"), "accept");
    let json = record.json();
    assert_eq!(json["value"], "x: 1");
    assert_eq!((&json["actor"], &json["reason"]), (&"ada".into(), &"because — ja".into()));
    assert_eq!(json["content_type"], "application/yaml");
    assert_eq!((json["version"].as_u64(), json["position"].as_u64()), (Some(1), Some(1)));
    assert_eq!(json["created_at"], json["updated_at"]);

    let full = app.get("/v1/config?view=full").got().await.json();
    assert_eq!(full[0], json);
}

#[tokio::test]
async fn head_and_options_behave() {
    let app = TestApp::start().await;
    app.set("a", "hello").await;
    let got = app.request(reqwest::Method::HEAD, "/v1/config/a").got().await;
    assert_eq!((got.status, got.header("content-length"), got.body.as_str()), (200, "5", ""));
    assert_eq!(got.header("etag"), "\"1\"");
    let got = app.request(reqwest::Method::HEAD, "/v1/config/b").got().await;
    assert_eq!((got.status, got.body.as_str()), (404, ""));
    let got = app.request(reqwest::Method::OPTIONS, "/v1/config/a").got().await;
    assert_eq!((got.status, got.body.as_str()), (204, ""));
    let allowed: Vec<_> = got.header("allow").split(',').collect();
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        assert!(allowed.contains(&method), "{allowed:?}");
    }
}
