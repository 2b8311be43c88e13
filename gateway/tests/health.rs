//! What operators and their machines ask.

use serde_json::json;

use crate::support::{Ask, StartingGateway, TestApp};

#[tokio::test]
async fn a_healthy_system_says_so() {
    let app = TestApp::start().await;
    for path in ["/health", "/v1/health"] {
        let got = app.get(path).got().await;
        assert_eq!((got.status, got.header("content-type")), (200, "application/json"));
        let health = got.json();
        assert_eq!(health["status"], "healthy");
        let all = json!({"eventstore": "healthy", "projection": "healthy", "database": "healthy"});
        assert_eq!(health["checks"], all);
        assert!(health["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
    }
    assert_eq!(app.get("/livez").got().await.status, 200);
    assert_eq!(app.get("/readyz").got().await.status, 200);
    let metrics = app.get("/metrics").got().await;
    assert!(metrics.body.contains("http_server_requests_total"));
    assert!(metrics.body.contains("configapi_gateway_shed_total"));
}

#[tokio::test]
async fn a_system_that_starts_is_unhealthy_in_the_same_words() {
    let why = "starting: there is no store";
    let gateway = StartingGateway::start(why).await;
    for path in ["/health", "/v1/health"] {
        let got = gateway.get(path).got().await;
        assert_eq!((got.status, got.header("content-type")), (503, "application/json"), "{path}");
        assert_eq!((got.header("retry-after"), got.header("cache-control")), ("1", "no-store"));
        let health = got.json();
        assert_eq!(health["status"], "unhealthy");
        let each = |word: &str| json!({"eventstore": word, "projection": word, "database": word});
        assert_eq!((&health["checks"], &health["details"]), (&each("unhealthy"), &each(why)));
        assert!(health["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
        let foreign = gateway.get(path).header("host", "rebound.example").got().await;
        assert_eq!(foreign.status, 403);
    }
}

#[tokio::test]
async fn the_status_of_a_query_server_can_be_asked() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let status = app.get("/v1/status?state_hash=true").got().await.json();
    assert_eq!(status["ready"], true);
    assert_eq!(status["state"]["position"], 1);
    assert_eq!(status["live_configs"], 1);
    assert!(status["state_hash"].is_string());
    assert!(app.get("/v1/status").got().await.json().get("state_hash").is_none());
}
