//! Web pages of other origins: let in by setting, kept out otherwise.

use configapi_gateway::{GatewayLimits, Origin};
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
        cors_origins: [
            // As it stands behind a comma and a space.
            " https://admin.example",
            // As browsers never say it.
            "HTTPS://Big.Example:443",
            "http://[2001:DB8::1]:80",
        ]
        .map(|origin| origin.parse().unwrap())
        .into(),
        ..GatewayLimits::default()
    };
    let app = TestApp::start_with(limits, HttpLimits::default()).await;
    let listed = ["https://admin.example", "https://big.example", "http://[2001:db8::1]"];
    for origin in listed.into_iter().chain(["http://localhost:8080"]) {
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

#[test]
fn what_no_browser_can_say_is_no_origin() {
    for origin in ["https://a.example:8443", "http://10.0.0.1:3000", "app://my-app", "*"] {
        assert!(origin.parse::<Origin>().is_ok(), "{origin}");
    }
    for wrong in [
        "https://*.example",
        "https://a.example/",
        "https://a.example:port",
        "https://me@a.example",
        "https://a example",
        "ht tps://a.example",
        "https://:443",
        "https://",
        "a.example",
        "null",
    ] {
        assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
    }
}
