//! Web pages of other origins: let in by setting, kept out otherwise.

use configapi_gateway::GatewayLimits;
use configapi_runtime::http::HttpLimits;
use reqwest::Method;

use crate::support::{Ask, TestApp};

#[tokio::test]
async fn a_page_from_elsewhere_can_change_nothing() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let evil = "https://evil.example";
    let preflight = app.request(Method::OPTIONS, "/v1/config/a").header("origin", evil);
    let got = preflight.header("access-control-request-method", "PUT").got().await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (204, ""));
    let got = app.get("/v1/config/a").header("origin", evil).got().await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (200, ""));
    // Browsers send simple requests like this one without asking.
    let got = app.post("/v1/config/a/restore").header("origin", evil).got_json().await;
    assert_eq!((got.status, &got.json()["code"]), (403, &"ORIGIN_NOT_ALLOWED".into()));
    assert_eq!(app.delete("/v1/config/a").header("origin", evil).got().await.status, 403);
    assert_eq!(app.delete("/v1/config/a").header("origin", "null").got().await.status, 403);
    let own = format!("http://{}", app.address);
    assert_eq!(app.delete("/v1/config/a").header("origin", own).got().await.status, 200);
}

#[tokio::test]
async fn an_origin_that_is_listed_can_do_everything() {
    let limits = GatewayLimits {
        // As it stands behind a comma and a space.
        cors_origins: vec![" https://admin.example".parse().unwrap()],
        ..GatewayLimits::default()
    };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    for origin in ["https://admin.example", "http://localhost:8080"] {
        let preflight = app.request(Method::OPTIONS, "/v1/config/a").header("origin", origin);
        let preflight = preflight.header("access-control-request-method", "PUT");
        let got = preflight.header("access-control-request-headers", "if-match").got().await;
        assert_eq!(got.status, 204);
        assert_eq!(got.header("access-control-allow-origin"), origin);
        assert!(got.header("access-control-allow-methods").contains("PUT"));
        assert!(got.header("access-control-allow-headers").contains("if-match"));
        let put = app.put("/v1/config/a").header("origin", origin);
        let got = put.header("content-type", "text/plain").body("x").got().await;
        assert_eq!((got.status, got.header("access-control-allow-origin")), (200, origin));
        assert!(got.header("access-control-expose-headers").contains("etag"));
    }
}
