//! Bodies from anybody: any bytes, and good bodies that were changed, are a value or a refusal, never
//! a fault and never another value than they say. `PROPTEST_CASES` asks for more of them.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::Deserialize;
use tokio::runtime::Runtime;

use crate::support::{Ask, Got, TestApp};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=x";

const GOOD: [(&str, &str); 6] = [
    (JSON, r#"{"value":"a\u00e9\n\"b\" 🦀","content_type":"text/x"}"#),
    (JSON, r#" {"more": {"a": [1, 2.5e3, null, true]}, "value": ""} "#),
    (TEXT, "plain\r\n\ttext é 🦀"),
    (FORM, "x=1&value=a+b%2Bc%C3%A9&content_type=text%2Fx"),
    (MULTIPART, "--x\r\ncontent-disposition: form-data; name=\"value\"\r\n\r\na\r\nb\r\n--x--\r\n"),
    (
        MULTIPART,
        "--x\r\nContent-Disposition: form-data; name=\"content_type\"\r\n\r\na/b\r\n--x\r\n\
        Content-Disposition: form-data; name=\"value\"; filename=\"f\"\r\n\r\nv\r\n--x--\r\n",
    ),
];

const BATCH: &str = r#"{"commands":[{"action":"set","name":"b","value":"1","content_type":"a/b"},
    {"action":"set","namespace":"c","name":"d","value":""}]}"#;
const RESTORE: &str = r#"{"version":1}"#;

/// So many cases, unless `PROPTEST_CASES` says how many.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

/// One system for all cases.
struct System {
    runtime: Runtime,
    app: TestApp,
}

fn system() -> &'static System {
    static SYSTEM: OnceLock<System> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let app = runtime.block_on(TestApp::start());
        System { runtime, app }
    })
}

fn send(path: &str, kind: &'static str, body: Vec<u8>) -> Got {
    let System { runtime, app } = system();
    let request = if path.starts_with("/v1/apply") || path.ends_with("restore") {
        app.post(path)
    } else {
        app.put(path)
    };
    runtime.block_on(request.header("content-type", kind).body(body).got())
}

fn value_of(name: &str) -> (u16, String) {
    let System { runtime, app } = system();
    let got = runtime.block_on(app.get(&format!("/v1/config/{name}")).got());
    (got.status, got.body)
}

fn bytes_near(good: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), select(b"{}[]\",:\\/u0dD8&=%+-x\r\n \0\xff".to_vec())];
    let change = (any::<Index>(), prop::option::of(byte), any::<bool>());
    prop::collection::vec(change, 0..4).prop_map(move |changes| {
        let mut bytes = good.as_bytes().to_vec();
        for (at, byte, replaces) in changes {
            let at = at.index(bytes.len() + 1);
            if replaces && at < bytes.len() {
                bytes.remove(at);
            }
            if let Some(byte) = byte {
                bytes.insert(at, byte);
            }
        }
        bytes
    })
}

fn any_body() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let near = select(GOOD.to_vec())
        .prop_flat_map(|(kind, good)| bytes_near(good).prop_map(move |bytes| (kind, bytes)));
    let wild =
        (select(vec![JSON, TEXT, FORM, MULTIPART]), prop::collection::vec(any::<u8>(), 0..60));
    prop_oneof![4 => near, 1 => wild]
}

#[derive(Deserialize)]
struct Said {
    value: String,
}

/// The value that a body says, read without the gateway. A part of a form is left to its parser.
fn said(kind: &str, body: &[u8]) -> Option<String> {
    match kind {
        JSON => {
            // What else is in there may be numbers that no type can hold.
            let text = std::str::from_utf8(body).ok()?;
            let said: Said = serde_json::from_str(text).ok()?;
            // An array of its members would do for this type as well.
            text.trim_start().starts_with('{').then_some(said.value)
        }
        TEXT => String::from_utf8(body.to_vec()).ok(),
        FORM => {
            let mut pairs = form_urlencoded::parse(body);
            pairs.find(|(name, _)| name == "value").map(|(_, value)| value.into_owned())
        }
        _ => None,
    }
}

#[test]
fn the_bodies_that_are_changed_below_are_good() {
    for (kind, body) in GOOD {
        let got = send("/v1/config/good", kind, body.as_bytes().to_vec());
        assert_eq!(got.status, 200, "{body}: {}", got.body);
        if kind != MULTIPART {
            assert_eq!(Some(value_of("good").1), said(kind, body.as_bytes()));
        }
    }
    for (path, body) in [("/v1/apply?dry_run=true", BATCH), ("/v1/config/good/restore", RESTORE)] {
        let got = send(path, JSON, body.as_bytes().to_vec());
        assert_eq!(got.status, 200, "{body}: {}", got.body);
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_body_is_the_value_that_it_says_or_is_refused_and_changes_nothing(
        (kind, body) in any_body(),
    ) {
        let before = value_of("foreign");
        let got = send("/v1/config/foreign", kind, body.clone());
        let after = value_of("foreign");
        if got.status == 200 {
            prop_assert_eq!(after.0, 200);
            if kind != MULTIPART {
                prop_assert_eq!(Some(after.1), said(kind, &body));
            }
        } else {
            prop_assert!(matches!(got.status, 400 | 413 | 415 | 422), "{}: {}", got.status, got.body);
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn a_batch_or_a_restore_of_any_bytes_is_done_or_refused(
        batch in bytes_near(BATCH),
        restore in bytes_near(RESTORE),
    ) {
        for (path, body) in [("/v1/apply", batch), ("/v1/config/b/restore", restore)] {
            let got = send(path, JSON, body);
            prop_assert!(got.status < 500, "{path}: {}: {}", got.status, got.body);
        }
    }
}
