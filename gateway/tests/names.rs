//! Names on their way through URLs: decoded exactly once, and refused when they are not names.

use crate::support::{Ask, TestApp, raw};

#[tokio::test]
async fn every_allowed_name_round_trips() {
    let app = TestApp::start().await;
    let all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    let long = "n".repeat(256);
    let names =
        [all, "a/b", "a/b/c.d", "...", "a..b", "history", "at", "restore", "a/history", "-", &long];
    for name in names {
        app.set(name, name).await;
        let path = format!("/v1/config/{}", name.replace('/', "%2f"));
        assert_eq!(app.get(&path).got().await.body, name);
        let history = app.get(&format!("{path}/history")).got().await.json();
        assert_eq!(history[0]["data"]["config_name"], name);
    }
    let listed = app.get("/v1/config").got().await.json();
    assert_eq!(listed.as_array().map(Vec::len), Some(names.len()));
    // Any character may be encoded, once.
    assert_eq!(raw(app.address, "GET", "/v1/config/%61%2Fb").await, 200);
}

#[tokio::test]
async fn what_is_not_a_name_is_a_400() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let long = format!("/v1/config/{}", "n".repeat(257));
    let longest = format!("/v1/config/{}", "n".repeat(60_000));
    for target in [
        "/v1/config/..",
        "/v1/config/.",
        "/v1/config/%2e%2e",
        "/v1/config/..%2f..%2fetc%2fpasswd",
        "/v1/config/a%2F..%2Fb",
        "/v1/config/../../etc/passwd",
        "/v1/config/%252e%252e",
        "/v1/config/a%252Fb",
        "/v1/config/a%00",
        "/v1/config/%00",
        "/v1/config/a%2F",
        "/v1/config/%2Fa",
        "/v1/config/a%2F%2Fb",
        "/v1/config/a%20b",
        "/v1/config/a+b",
        "/v1/config/%zz",
        "/v1/config/a%",
        "/v1/config/%ff",
        "/v1/config/%C3%A4",
        "/v1/namespaces/A/config/a",
        "/v1/namespaces/%2e%2e/config/a",
        "/v1/namespaces/%2A/config",
        &long,
        &longest,
    ] {
        let shown = &target[..target.len().min(60)];
        assert_eq!(raw(app.address, "GET", target).await, 400, "GET {shown}");
        if !target.ends_with("/config") {
            assert_eq!(raw(app.address, "DELETE", target).await, 400, "DELETE {shown}");
        }
    }
    assert_eq!(app.get("/v1/config").got().await.body, r#"[{"name":"a","value":"1"}]"#);
}

#[tokio::test]
async fn a_slash_that_is_not_encoded_is_explained() {
    let app = TestApp::start().await;
    let got = app.get("/v1/config/billing/limit/x").got_json().await;
    assert_eq!(got.status, 404);
    assert!(got.json()["detail"].as_str().is_some_and(|text| text.contains("%2F")), "{}", got.body);
    // Also to curl, for which `Not Found` would mean that there is no such config.
    for path in ["/v1/config/billing/x", "/config/billing/x", "/v1/namespaces/n/config/billing/x"] {
        for request in [app.get(path), app.put(path).body("1"), app.delete(path)] {
            let got = request.got().await;
            assert_eq!(got.status, 404, "{path}");
            assert!(got.body.contains("a / within a name travels as %2F"), "{path}: {}", got.body);
        }
    }
}

#[tokio::test]
async fn a_parameter_means_the_same_however_its_name_is_encoded() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    for query in ["namespace=staging", "n%61mespace=staging", "%6eamespace=stagin%67"] {
        let target = format!("/v1/config/a?{query}");
        assert_eq!(raw(app.address, "GET", &target).await, 404, "{query}");
        assert_eq!(raw(app.address, "DELETE", &target).await, 404, "{query}");
    }
    assert_eq!(app.get("/v1/config/a").got().await.body, "1");
    assert_eq!(raw(app.address, "GET", "/v1/config/a?consist%65ncy=strong").await, 400);
}
