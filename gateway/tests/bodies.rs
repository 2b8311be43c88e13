//! How values come in and go out: three kinds of body, and every byte kept.

use serde_json::json;

use crate::support::{Ask, TestApp};

#[tokio::test]
async fn a_value_may_come_as_json_text_or_a_form() {
    let app = TestApp::start().await;
    let put = |kind: &'static str, body: &'static str| {
        app.put("/v1/config/a").header("content-type", kind).body(body)
    };
    for (kind, body, value) in [
        ("application/json", r#"{"value": "a\u0020b", "other": [1]}"#, "a b"),
        ("application/json; charset=UTF-8", r#"{"value":""}"#, ""),
        ("text/plain", "plain\n", "plain\n"),
        ("text/plain; charset=utf-8", "", ""),
        ("application/x-www-form-urlencoded", "x=1&value=a+b%2Bc", "a b+c"),
        ("application/x-www-form-urlencoded", "value=%EF%BF%BD", "\u{FFFD}"),
    ] {
        let got = put(kind, body).got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "OK"), "{kind} {body}");
        assert_eq!(app.get("/v1/config/a").got().await.body, value, "{kind} {body}");
    }
    // curl -T sends no content type.
    let got = app.put("/v1/config/a").body("as it is").got().await;
    assert_eq!(got.status, 200);
    assert_eq!(app.get("/v1/config/a").got().await.body, "as it is");
}

#[tokio::test]
async fn a_form_is_looked_at_once_however_many_of_its_fields_look_replaced() {
    let app = TestApp::start().await;
    // A look at all of it for each field would take days.
    let body = format!("{}value=1", "a=\u{FFFD}&".repeat(1_000_000));
    let form = app.put("/v1/config/a").header("content-type", "application/x-www-form-urlencoded");
    let got = form.body(body).got().await;
    assert_eq!((got.status, got.body.as_str()), (200, "OK"));
    assert_eq!(app.get("/v1/config/a").got().await.body, "1");
}

#[tokio::test]
async fn a_value_may_come_as_a_multipart_form() {
    let app = TestApp::start().await;
    let boundary = "--------x";
    let part = |name: &str, value: &str| {
        format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    };
    let put = |body: String| {
        let kind = format!("multipart/form-data; boundary={boundary}");
        app.put("/v1/config/a").header("content-type", kind).body(body)
    };
    let body =
        format!("{}{}--{boundary}--\r\n", part("content_type", "a/b"), part("value", "x\ny"));
    assert_eq!(put(body).got().await.status, 200);
    let record = app.get("/v1/config/a").got_json().await.json();
    assert_eq!((&record["value"], &record["content_type"]), (&"x\ny".into(), &"a/b".into()));
    let without = format!("{}--{boundary}--\r\n", part("other", "x"));
    assert_eq!(put(without).got().await.status, 400);
    let other = format!("{}{}--{boundary}--\r\n", part("value", "x"), part("other", "x"));
    assert_eq!(put(other).got().await.status, 400);
    assert_eq!(put("nonsense".to_owned()).got().await.status, 400);
}

#[tokio::test]
async fn a_part_of_a_form_has_a_charset_like_a_whole_body() {
    let app = TestApp::start().await;
    let put = |name: &str, kind: &str| {
        let body = format!(
            "--x\r\ncontent-disposition: form-data; name=\"value\"\r\n\r\n1\r\n\
             --x\r\ncontent-disposition: form-data; name=\"{name}\"\r\ncontent-type: {kind}\r\n\r\n\
             \u{e9}\r\n--x--\r\n"
        );
        let body =
            body.replacen("name=\"value\"", "name=\"content_type\"", usize::from(name == "value"));
        app.put("/v1/config/a").header("content-type", "multipart/form-data; boundary=x").body(body)
    };
    for kind in ["text/plain; charset=iso-8859-1", "text/plain; format=flowed; Charset=\"latin1\""]
    {
        for name in ["value", "content_type"] {
            let got = put(name, kind).got().await;
            assert_eq!(got.status, 415, "{name} {kind}: {}", got.body);
            assert!(got.body.contains("charset must be utf-8"), "{}", got.body);
        }
    }
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
    for kind in ["text/plain", "text/plain; charset=UTF-8", "application/octet-stream", "text/x; a"]
    {
        assert_eq!(put("value", kind).got().await.status, 200, "{kind}");
        assert_eq!(app.get("/v1/config/a").got().await.body, "\u{e9}", "{kind}");
    }
}

#[tokio::test]
async fn a_part_of_a_form_is_not_stored_as_it_was_encoded_for_its_way() {
    let app = TestApp::start().await;
    let put = |encoding: &str| {
        let body = format!(
            "--x\r\ncontent-disposition: form-data; name=\"value\"\r\n\
             content-transfer-encoding: {encoding}\r\n\r\naGVsbG8=\r\n--x--\r\n"
        );
        app.put("/v1/config/a").header("content-type", "multipart/form-data; boundary=x").body(body)
    };
    for encoding in ["base64", "quoted-printable", "Base64", ""] {
        let got = put(encoding).got().await;
        assert_eq!(got.status, 415, "{encoding}: {}", got.body);
        assert!(got.body.contains("send the parts as they are"), "{}", got.body);
    }
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
    for encoding in ["binary", "8bit", "7BIT"] {
        assert_eq!(put(encoding).got().await.status, 200, "{encoding}");
        assert_eq!(app.get("/v1/config/a").got().await.body, "aGVsbG8=", "{encoding}");
    }
}

#[tokio::test]
async fn a_missing_or_wrong_value_is_a_400_that_says_so() {
    let app = TestApp::start().await;
    for (kind, body, says) in [
        ("application/json", "{}", "value: is missing"),
        ("application/json", r#"{"value": 1}"#, "value: must be a string, is a number"),
        ("application/json", r#"{"value": null}"#, "value: must be a string, is null"),
        ("application/json", r#"{"value": ["x"]}"#, "value: must be a string, is an array"),
        ("application/json", r#"{"value": {"x": 1}}"#, "value: must be a string, is an object"),
        ("application/json", r#"{"value": true}"#, "value: must be a string, is a boolean"),
        ("application/json", r#"{"content_type": 1}"#, "content_type: must be a string"),
        ("application/json", r#"{"value": "hunter2"#, "body: ends too early (line 1, column 18)"),
        ("application/json", r#"{"value": hunter2}"#, "body: is not JSON (line 1, column 11)"),
        ("application/json", r#"{"value":"a","value":"b"}"#, "value: must be said only once"),
        ("application/json", r#""hunter2""#, "body: must be a JSON object"),
        ("application/json", r#"{"value": "\ud800"}"#, "body: is not JSON"),
        ("application/x-www-form-urlencoded", "valeu=1", "value: is missing"),
        ("application/x-www-form-urlencoded", "value=1&value=2", "value: must be said only once"),
        (
            "application/x-www-form-urlencoded",
            "content_type=a/b&value=1&content_type=c/d",
            "content_type: must be said only once",
        ),
        ("application/x-www-form-urlencoded", "value=%FF", "value: must be valid UTF-8"),
        ("application/x-www-form-urlencoded", r#"{"value":"1"}"#, "Content-Type: application/json"),
        ("text/plain", "a\0b", "value"),
    ] {
        let got = app.put("/v1/config/a").header("content-type", kind).body(body).got().await;
        assert_eq!(got.status, 400, "{body}: {}", got.body);
        assert!(got.body.contains(says), "{body}: {}", got.body);
        assert!(!got.body.contains("hunter2"), "{}", got.body);
    }
    let got = app.put("/v1/config/a").got().await;
    assert_eq!((got.status, got.body.as_str()), (400, "value: is missing"));
    let text = app.put("/v1/config/a").header("content-type", "text/plain");
    assert_eq!(text.body(vec![0xff, 0xfe]).got().await.status, 400);
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
}

#[tokio::test]
async fn a_body_of_json_is_an_object_and_no_array_of_its_members() {
    let app = TestApp::start().await;
    let wants = "must be a JSON object";
    for body in [json!(["hunter2", "x"]), json!(["hunter2"]), json!([]), json!(null), json!(1)] {
        let got = app.put("/v1/config/a").json(&body).got().await;
        assert_eq!(got.status, 400, "{body}: {}", got.body);
        assert!(got.body.contains(wants) && !got.body.contains("hunter2"), "{}", got.body);
    }
    app.set("b", "1").await;
    app.set("b", "2").await;
    let restore = app.post("/v1/config/b/restore").json(&json!([1])).got().await;
    assert_eq!(restore.status, 400, "{}", restore.body);
    assert!(restore.body.contains(wants), "{}", restore.body);
    let set = json!({"action": "set", "name": "a", "value": "1"});
    for body in [
        json!([[set]]),
        json!({"commands": [["set", "", "a", null, "1", ""]]}),
        json!({"commands": [["set", {"name": "a", "value": "1"}]]}),
        json!({"commands": [set, {"action": "restore", "name": "b", "to": [1]}]}),
    ] {
        let got = app.post("/v1/apply").json(&body).got().await;
        assert_eq!(got.status, 400, "{body}: {}", got.body);
        assert!(got.body.contains(wants), "{body}: {}", got.body);
    }
    assert_eq!(app.get("/v1/config/a").got().await.status, 404);
    assert_eq!(app.get("/v1/config/b").got().await.header("etag"), "\"2\"");
}

#[tokio::test]
async fn a_body_that_may_be_left_out_may_be_empty() {
    let app = TestApp::start().await;
    for (kind, body) in [("application/json", ""), ("application/json", "null"), ("text/plain", "")]
    {
        app.set("a", "1").await;
        assert_eq!(app.delete("/v1/config/a").got().await.status, 200);
        let restore = app.post("/v1/config/a/restore").header("content-type", kind);
        let got = restore.body(body).got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "OK"), "{kind} {body:?}");
    }
    let apply = app.post("/v1/apply").header("content-type", "application/json").got().await;
    assert_eq!((apply.status, apply.body.as_str()), (400, "commands: are missing"));
}

#[tokio::test]
async fn a_content_type_in_the_query_is_for_bodies_that_do_not_say_it() {
    let app = TestApp::start().await;
    let put = || app.put("/v1/config/a?content_type=a/query");
    let kind = async || app.get("/v1/config/a").got_json().await.json()["content_type"].clone();
    assert_eq!(put().json(&json!({"value": "1"})).got().await.status, 200);
    assert_eq!(kind().await, "a/query");
    let said = json!({"value": "1", "content_type": "a/body"});
    assert_eq!(put().json(&said).got().await.status, 200);
    assert_eq!(kind().await, "a/body");
}

#[tokio::test]
async fn what_is_not_understood_is_a_415() {
    let app = TestApp::start().await;
    for (name, kind) in [
        ("content-type", "application/xml"),
        ("content-type", "text/html"),
        ("content-type", "text/plain; charset=latin1"),
        ("content-encoding", "gzip"),
    ] {
        let got = app.put("/v1/config/a").header(name, kind).body("x").got().await;
        assert_eq!(got.status, 415, "{kind}");
    }
    assert_eq!(app.post("/v1/apply").body("x").got().await.status, 415);
}

#[tokio::test]
async fn values_come_back_byte_for_byte() {
    let app = TestApp::start().await;
    let large = "ä".repeat(500_000);
    let values = [
        "",
        " ",
        "\n",
        "line one\r\nline two\n\n\ttab",
        "ünïcödé 🦀 \u{202e} \u{FEFF}bom",
        r#"{"json": "in a \"string\"", "n": [1, 2]}"#,
        "<script>alert(1)</script>",
        "\u{1}\u{7f}\u{85}",
        "%2F+&=",
        large.as_str(),
    ];
    for value in values {
        app.set("a", value).await;
        let got = app.get("/v1/config/a").got().await;
        assert!(got.body == value, "{} bytes as JSON", value.len());
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        let record = app.get("/v1/config/a").got_json().await.json();
        assert!(record["value"] == *value, "{} bytes in a record", value.len());
        let put = app.put("/v1/config/a").header("content-type", "text/plain");
        assert_eq!(put.body(value.to_owned()).got().await.status, 200);
        assert!(app.get("/v1/config/a").got().await.body == value, "{} bytes raw", value.len());
    }
    let too_long = format!("{large}x");
    let put = app.put("/v1/config/a").header("content-type", "text/plain").body(too_long);
    assert_eq!(put.got().await.status, 400);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_a_413() {
    let app = TestApp::start().await;
    let put = app.put("/v1/config/a").header("content-type", "text/plain");
    assert_eq!(put.body(vec![b'x'; 7_000_000]).got().await.status, 413);
    let restore = app.post("/v1/config/a/restore").header("content-type", "application/json");
    assert_eq!(restore.body(vec![b' '; 5_000]).got().await.status, 413);
}

/// Nobody knows which of two is meant, and a proxy may have looked at the other one.
#[tokio::test]
async fn what_a_body_is_is_said_once() {
    let app = TestApp::start().await;
    let put = || app.put("/v1/config/a").header("content-type", "text/plain").body("{}");
    let got = put().header("content-type", "application/json").got().await;
    assert_eq!((got.status, &*got.body), (400, "content-type: must be said only once"));
    let twice = put().header("content-encoding", "identity").header("content-encoding", "gzip");
    assert_eq!(twice.got().await.status, 415);
    assert_eq!(app.get("/v1/config/a").got().await.status, 404, "nothing was written");
    assert_eq!(put().header("content-encoding", "identity").got().await.status, 200);
}
