//! set, delete and restore.

use crate::support::{Limit, Servers, configapi};

#[test]
fn what_is_set_is_there_exactly_as_it_was_given() {
    let servers = Servers::start();
    servers.set("a", "one");
    assert_eq!(servers.read(["get", "a"]).stdout, "one");
    servers.configapi(["set", "b", "-"]).stdin("two\nlines\n").ends().succeeded();
    assert_eq!(servers.read(["get", "b"]).stdout, "two\nlines\n");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from a file").unwrap();
    let path = file.path().to_str().unwrap();
    servers.configapi(["set", "c", "--file", path]).ends().succeeded();
    assert_eq!(servers.read(["get", "c"]).stdout, "from a file");
    servers.configapi(["set", "d", ""]).ends().succeeded();
    assert_eq!(servers.read(["get", "d"]).stdout, "");
    servers.set("e", "-5");
    assert_eq!(servers.read(["get", "e"]).stdout, "-5");
}

#[test]
fn a_receipt_tells_what_was_done_and_its_token_makes_a_read_see_it() {
    let servers = Servers::start();
    let receipt = servers.configapi(["set", "a", "1", "-o", "json"]).ends().succeeded().json();
    assert_eq!(receipt["namespace"], "default");
    assert_eq!(receipt["name"], "a");
    assert_eq!(receipt["kind"], "ConfigValueSet");
    assert_eq!(receipt["version"], 1);
    assert_eq!(receipt["token"], "1-1");
    assert_eq!(receipt["hash"].as_str().unwrap().len(), 64);
    let token = servers.set("a", "2");
    let read = servers.configapi(["get", "a", "--token", &token]).ends().succeeded();
    assert_eq!(read.stdout, "2");
}

#[test]
fn the_record_tells_who_and_why() {
    let servers = Servers::start();
    servers.set("a", "1");
    servers
        .configapi(["set", "a", "2", "--actor", "ada", "--reason", "because"])
        .ends()
        .succeeded();
    let history = servers.read(["history", "a", "-o", "json"]).json();
    assert!(history[0]["actor"].as_str().unwrap().starts_with("tester@"), "{history}");
    assert_eq!(history[1]["actor"], "ada");
    assert_eq!(history[1]["reason"], "because");
    assert_eq!(history[1]["old_value"], "1");
}

#[test]
fn a_request_id_has_one_outcome_however_often_it_is_sent() {
    let servers = Servers::start();
    let set = |value: &str| {
        servers.configapi(["set", "a", value, "--request-id", "r1", "-o", "raw"]).ends()
    };
    let first = set("1").succeeded().stdout;
    assert_eq!(set("1").succeeded().stdout, first);
    let other = set("2").failed_with(1);
    assert!(other.stderr.contains("REQUEST_ID_REUSED"), "{other:#?}");
    assert_eq!(servers.read(["history", "a", "-o", "raw"]).stdout.lines().count(), 1);
}

#[test]
fn an_expected_version_protects_from_lost_updates() {
    let servers = Servers::start();
    servers.configapi(["set", "a", "1", "--expected-version", "0"]).ends().succeeded();
    let ended = servers.configapi(["set", "a", "2", "-e", "0"]).ends().failed_with(1);
    assert!(ended.stderr.contains("VERSION_CONFLICT"), "{ended:#?}");
    assert!(ended.stderr.contains("hint: somebody was faster"), "{ended:#?}");
    servers.configapi(["set", "a", "2", "-e", "1"]).ends().succeeded();
}

#[test]
fn a_dry_run_says_what_would_happen_and_writes_nothing() {
    let servers = Servers::start();
    let ended = servers.configapi(["set", "a", "1", "--dry-run", "-o", "json"]).ends().succeeded();
    assert_eq!(ended.json()["version"], 1);
    assert!(ended.json().get("position").is_none(), "{ended:#?}");
    assert!(ended.stderr.contains("nothing was written"), "{ended:#?}");
    servers.configapi(["get", "a", "--linearizable"]).ends().failed_with(1);
    servers.configapi(["delete", "a", "--dry-run"]).ends().failed_with(1);
}

#[test]
fn what_is_deleted_comes_back_only_on_purpose() {
    let servers = Servers::start();
    servers.set("a", "1");
    servers.set("a", "2");
    servers.configapi(["delete", "a", "--reason", "gone"]).ends().succeeded();
    let ended = servers.configapi(["get", "a", "--linearizable"]).ends().failed_with(1);
    assert!(ended.stderr.contains("configapi restore"), "{ended:#?}");
    let ended = servers.configapi(["set", "a", "3"]).ends().failed_with(1);
    assert!(ended.stderr.contains("CONFIG_DELETED"), "{ended:#?}");
    let ended = servers.configapi(["delete", "a"]).ends().failed_with(1);
    assert!(ended.stderr.contains("CONFIG_ALREADY_DELETED"), "{ended:#?}");
    servers.configapi(["restore", "a"]).ends().succeeded();
    assert_eq!(servers.read(["get", "a"]).stdout, "2");
    servers.configapi(["restore", "a", "--version", "1"]).ends().succeeded();
    assert_eq!(servers.read(["get", "a"]).stdout, "1");
    servers.configapi(["restore", "a", "--position", "2"]).ends().succeeded();
    assert_eq!(servers.read(["get", "a"]).stdout, "2");
    servers.configapi(["restore", "a", "--version", "3"]).ends().failed_with(1);
    servers.configapi(["restore", "a", "--at", "1-2"]).ends().failed_with(2);
}

/// A variable that is empty by mistake must not make each try a command of its own.
#[test]
fn an_empty_request_id_is_none() {
    let ended = configapi(["set", "a", "1", "--request-id", ""]).ends().failed_with(2);
    assert!(ended.stderr.contains("--request-id"), "{ended:#?}");
}

/// It is done, and who is told of a failure would do it again.
#[cfg(target_os = "linux")]
#[test]
fn a_receipt_that_cannot_be_printed_does_not_make_a_write_look_refused() {
    let servers = Servers::start();
    let writes: [(&[&str], &str); 4] = [
        (&["set", "a", "1"], ""),
        (&["apply", "-"], "[{set: a, value: 2}]"),
        (&["delete", "a"], ""),
        (&["restore", "a"], ""),
    ];
    for (number, (arguments, stdin)) in (1..).zip(writes) {
        let write = || servers.configapi(arguments.iter().copied()).stdin(stdin);
        let ended = write().has_no_room_for_stdout().ends().failed_with(3);
        assert!(ended.stderr.contains("it is written"), "{ended:#?}");
        let (_, rest) = ended.stderr.split_once("--request-id ").unwrap();
        let id = rest.split_whitespace().next().unwrap();
        let again = write().arg("--request-id").arg(id).arg("--output=raw").ends().succeeded();
        assert_eq!(again.stdout.trim(), format!("1-{number}"));
    }
    // Of a dry run there is nothing to tell but that.
    let dry = servers.configapi(["set", "a", "1", "--dry-run"]).has_no_room_for_stdout().ends();
    assert!(!dry.failed_with(1).stderr.contains("it is written"));
}

#[test]
fn a_write_whose_connection_is_cut_is_repeated_and_written_once() {
    let servers = Servers::start();
    // Cut after the request has gone out at the latest; the repeat has a way that holds.
    let proxy = servers.proxy(servers.command, [Limit::CutAfter(1_200); 2]);
    let value = "x".repeat(1_500);
    let ended = servers
        .configapi(["set", "a", &value, "-o", "json"])
        .env("CONFIGAPI_COMMAND_URL", &format!("http://{}", proxy.address))
        .ends()
        .succeeded();
    assert_eq!(ended.json()["version"], 1);
    assert_eq!(servers.read(["history", "a", "-o", "raw"]).stdout.lines().count(), 1);
}
