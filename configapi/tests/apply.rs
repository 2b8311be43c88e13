//! apply: a file of commands as one change.

use std::fmt::Write as _;

use crate::support::Servers;

const RELEASE: &str = "\
reason: release 42
commands:
- set: a
  value: 1.50
  content_type: text/plain
- set: b
  namespace: staging
  value: |
    two
    lines
- delete: old
- restore: older
  version: 1
- set: a
  value: again
  expected_version: 1
";

#[test]
fn a_file_is_one_change() {
    let servers = Servers::start();
    for (name, value) in [("old", "1"), ("older", "1"), ("older", "2")] {
        servers.set(name, value);
    }
    let receipts =
        servers.configapi(["apply", "-", "-o", "json"]).stdin(RELEASE).ends().succeeded().json();
    let receipts = receipts.as_array().unwrap();
    assert_eq!(receipts.len(), 5);
    assert_eq!(receipts[4]["token"], "1-8");
    assert!(receipts.iter().all(|it| it["request_id"] == receipts[0]["request_id"]));
    let history = servers.read(["history", "a", "-o", "json"]).json();
    assert_eq!(history[0]["value"], "1.50");
    assert_eq!(history[0]["reason"], "release 42");
    assert_eq!(history[1]["value"], "again");
    assert_eq!(servers.read(["get", "b", "-n", "staging"]).stdout, "two\nlines\n");
    assert_eq!(servers.read(["get", "older"]).stdout, "1");
}

#[test]
fn a_restore_to_a_position_within_it_gives_what_a_get_at_that_position_shows() {
    let servers = Servers::start();
    for (name, value) in [("old", "1"), ("older", "1"), ("older", "2")] {
        servers.set(name, value);
    }
    servers.configapi(["apply", "-"]).stdin(RELEASE).ends().succeeded();
    for position in ["4", "5", "6", "7", "8"] {
        servers.set("a", "later");
        let shown = servers.read(["get", "a", "--at", position]).stdout;
        servers.configapi(["restore", "a", "--position", position]).ends().succeeded();
        assert_eq!(servers.read(["get", "a"]).stdout, shown, "at position {position}");
    }
}

#[test]
fn json_is_taken_too_and_the_flag_decides_the_reason() {
    let servers = Servers::start();
    let file =
        r#"{"reason": "from the file", "commands": [{"set": "a", "value": "\ud83d\ude00"}]}"#;
    servers.configapi(["apply", "-", "--reason", "from the flag"]).stdin(file).ends().succeeded();
    let config = servers.read(["get", "a", "-o", "json"]).json();
    assert_eq!(config["value"], "😀");
    assert_eq!(config["reason"], "from the flag");
}

#[test]
fn one_refusal_refuses_all() {
    let servers = Servers::start();
    let file = "- {set: a, value: 1}\n- {delete: nothing}\n";
    let ended = servers.configapi(["apply", "-"]).stdin(file).ends().failed_with(1);
    assert!(ended.stderr.contains("nothing"), "{ended:#?}");
    assert!(ended.stderr.starts_with("error: command 2 of the file: "), "{ended:#?}");
    let file = "- {set: a, value: 1}\n- {set: 'b b', value: 1}\n- {set: c//c, value: 1}\n";
    let ended = servers.configapi(["apply", "-"]).stdin(file).ends().failed_with(1);
    assert!(ended.stderr.starts_with("error: command 2 of the file: name: "), "{ended:#?}");
    assert!(!ended.stderr.contains("commands["), "{ended:#?}");
    servers.configapi(["get", "a", "--linearizable"]).ends().failed_with(1);
    let dry = servers.configapi(["apply", "-", "--dry-run"]).stdin("[{set: a, value: 1}]").ends();
    assert!(dry.succeeded().stderr.contains("nothing was written"));
    servers.configapi(["get", "a", "--linearizable"]).ends().failed_with(1);
}

#[test]
fn a_file_that_is_half_understood_is_not_sent() {
    let files = [
        "- {set: a}",
        "- {set: a, valu: s3cret}",
        "- {set: a, value: 1, version: 2}",
        "- {set: a, delete: b, value: 1}",
        "- {value: s3cret}",
        "- {delete: a, value: s3cret}",
        "- {restore: a, version: x}",
        "- {restore: a, version: 1, at: 2024-01-15}",
        "- {restore: a, at: 1042}",
        "- {restore: a, at: '2024-01-15T10:30:00'}",
        "- {set: a, value: [s3cret]}",
        "- {set: a, value: 1, expected_version: s3cret}",
        "- {set: [a], content_type: s3cret}",
        "[{\"set\": \"a\", \"value\": \"1\", \"expected_version\": \"s3cret\"}]",
        "[{\"set\": \"a\", \"value\": \"s3cret\", \"value\": \"2\"}]",
        "{\"commands\": [{\"delete\": \"a\"}], \"commands\": []}",
        "- {set: a, value: 1, expected_version: -1}",
        "- {set: a, value: 1, expected_version: }",
        "- {restore: a, version: }",
        "[{\"set\": \"a\", \"value\": \"1\", \"namespace\": null}]",
        "- &x {set: a, value: 1}\n- *x",
        "{\"commands\": [{\"set\": \"a\", \"value\": 1.5}]}",
        "commandos: []",
        "commands: s3cret",
        "- s3cret",
        "s3cret",
        "",
    ];
    let mut told = String::new();
    for file in files {
        let ended = crate::support::configapi(["apply", "-"]).stdin(file).ends().failed_with(1);
        assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
        let first = ended.stderr.lines().next().unwrap_or_default();
        writeln!(told, "{file:?}\n    {first}").unwrap();
    }
    insta::assert_snapshot!(told);
}
