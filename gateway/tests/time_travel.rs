//! What was: at a time, a position or a token; and what changed in between.

use serde_json::json;

use crate::support::{Ask, TestApp};

#[tokio::test]
async fn any_moment_can_be_read_compared_and_restored() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    app.set("b", "1").await;
    app.set("a", "2").await;
    app.delete("/v1/config/b").got().await;
    app.set("c", "1").await;

    let at = |path: &str, at: &str| app.get(&format!("{path}?at={at}"));
    assert_eq!(at("/v1/config/a", "1").got().await.body, "1");
    assert_eq!(at("/v1/config/a", "1-3").got().await.body, "2");
    assert_eq!(at("/v1/config/a", "0").got().await.status, 404);
    let then = at("/v1/config", "2").got().await;
    assert_eq!(then.json(), json!([{"name": "a", "value": "1"}, {"name": "b", "value": "1"}]));
    assert_eq!(then.header("configapi-token"), "1-2");
    let time = app.get("/v1/config/a/history").got().await.json()[0]["created_at"].clone();
    let time = time.as_str().unwrap();
    assert_eq!(at("/v1/config/a", time).got().await.body, "1");
    // An offset whose + was not encoded is understood all the same.
    let offset = time.replace('Z', "+00:00");
    assert_eq!(at("/v1/config/a", &offset).got().await.body, "1");
    assert_eq!(app.get(&format!("/v1/config/a/at/{offset}")).got().await.body, "1");
    assert_eq!(app.get("/v1/config/a/at/2999-01-01T00:00:00Z").got().await.body, "2");

    let diff = app.get("/v1/diff?from=2&to=5").got().await.json();
    let kinds: Vec<_> =
        diff["entries"].as_array().unwrap().iter().map(|e| e["kind"].clone()).collect();
    assert_eq!(kinds, ["changed", "removed", "added"]);
    assert_eq!(diff["entries"][0]["from"]["value"], "1");
    assert_eq!(diff["entries"][0]["to"]["value"], "2");
    assert!(diff["entries"][1]["to"].is_null());

    let restore = |body: serde_json::Value| app.post("/v1/config/a/restore").json(&body);
    assert_eq!(restore(json!({"version": 1})).got().await.body, "OK");
    assert_eq!(app.get("/v1/config/a").got().await.body, "1");
    assert_eq!(restore(json!({"position": 3})).got().await.body, "OK");
    assert_eq!(app.get("/v1/config/a").got().await.body, "2");
    assert_eq!(restore(json!({"at": time})).got().await.body, "OK");
    assert_eq!(app.get("/v1/config/a").got().await.body, "1");
    assert_eq!(restore(json!({})).got().await.status, 409, "a live config needs a target");
    assert_eq!(restore(json!({"verison": 1})).got().await.status, 400);
    assert_eq!(restore(json!({"version": 1, "position": 1})).got().await.status, 400);
    assert_eq!(restore(json!({"at": "yesterday"})).got().await.status, 400);
    let receipt = app.post("/v1/config/b/restore").got_json().await.json();
    assert_eq!(receipt["event_type"], "ConfigValueRestored");
}

#[tokio::test]
async fn the_end_of_time_is_a_time() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    for time in [
        "9999-12-30T22:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.999999999Z",
        "9999-12-31T23:59:59-11:00",
        "9999-12-31T23:59:59%2B02:00",
    ] {
        let got = app.get(&format!("/v1/config/a/at/{time}")).got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "1"), "{time}");
        let got = app.get(&format!("/v1/config/a?at={time}")).got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "1"), "{time}");
    }
    for time in
        ["9999-12-32T00:00:00Z", "9999-12-31T23:59:59", "9999-12-31", "10000-01-01T00:00:00Z"]
    {
        let got = app.get(&format!("/v1/config/a/at/{time}")).got().await;
        assert_eq!(got.status, 400, "{time}");
        assert_eq!(app.get(&format!("/v1/config/a?at={time}")).got().await.status, 400, "{time}");
    }
}

#[tokio::test]
async fn what_is_no_moment_is_refused_wherever_one_is_said() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    let wants =
        "must be a time such as 2024-01-15T10:30:00Z, a position, or a token such as 1-1042";
    let no_times = ["2024-01-15T10:30:00%2B25:00", "2024-01-15T10:30:00-24:00"];
    for text in no_times.into_iter().chain(["01", "00", "1-01"]) {
        for (path, field) in [
            ("/v1/config?at=", "at"),
            ("/v1/config/a?at=", "at"),
            ("/v1/diff?from=", "from"),
            ("/v1/diff?from=0&to=", "to"),
        ] {
            let got = app.get(&format!("{path}{text}")).got_json().await;
            assert_eq!(got.status, 400, "{path}{text}: {}", got.body);
            let wrong = json!([{"field": field, "detail": wants}]);
            assert_eq!(got.json()["errors"], wrong, "{path}{text}");
        }
        assert_eq!(app.get(&format!("/v1/watch?after={text}")).got().await.status, 400, "{text}");
        assert_eq!(app.get(&format!("/v1/config/a/at/{text}")).got().await.status, 400, "{text}");
    }
    for text in no_times {
        let text = text.replace("%2B", "+");
        let restore = app.post("/v1/config/a/restore").json(&json!({"at": text})).got_json().await;
        assert_eq!((restore.status, &restore.json()["errors"][0]["field"]), (400, &json!("at")));
    }
    // The farthest that there are.
    for text in ["2024-01-15T10:30:00%2B23:59", "2024-01-15T10:30:00-23:59", "0", "1"] {
        assert_eq!(app.get(&format!("/v1/config?at={text}")).got().await.status, 200, "{text}");
    }
}
