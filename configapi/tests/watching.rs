//! watch: what happens, as it happens, over lost connections and from any place on.

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::stored::written;
use crate::support::{Running, Servers, Serving, configapi};

fn event(running: &mut Running) -> Value {
    let line = running.line();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

fn seen(running: &mut Running) -> (u64, String) {
    let event = event(running);
    (event["position"].as_u64().unwrap(), event["value"].as_str().unwrap_or("-").to_owned())
}

#[test]
fn changes_are_shown_as_they_happen() {
    let servers = Servers::start();
    servers.set("before", "0");
    let mut watch = servers.configapi(["watch", "-o", "json", "--linearizable"]).starts();
    watch.says("watching");
    servers.set("a", "1");
    assert_eq!(seen(&mut watch), (2, "1".to_owned()));
    servers.configapi(["delete", "a"]).ends().succeeded();
    let deleted = event(&mut watch);
    assert_eq!(deleted["event"], "ConfigValueDeleted");
    assert_eq!(deleted["deleted_value"], "1");
    watch.signal("INT");
    let ended = watch.ends().failed_with(130);
    assert!(ended.stderr.contains("go on later with --from 1-3"), "{ended:#?}");
}

#[test]
fn a_watch_is_of_a_prefix_or_of_one_name_or_of_all_namespaces() {
    let servers = Servers::start();
    for name in ["a/1", "b", "a/2", "a"] {
        servers.set(name, "x");
    }
    servers.configapi(["set", "a/1", "y", "-n", "other"]).ends().succeeded();
    let watch = |more: &[&str]| {
        let arguments: Vec<_> =
            ["watch", "--from", "0", "-o", "raw", "--linearizable"].iter().chain(more).collect();
        servers.configapi(arguments.into_iter().copied()).ends().succeeded().stdout
    };
    let positions = |text: String| {
        text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(positions(watch(&["a/", "--count", "2"])), ["1", "3"]);
    assert_eq!(positions(watch(&["--name", "a", "--count", "1"])), ["4"]);
    assert_eq!(positions(watch(&["-A", "--count", "5"])), ["1", "2", "3", "4", "5"]);
}

#[test]
fn a_watch_can_begin_with_the_configs_as_they_are() {
    let servers = Servers::start();
    servers.set("a", "1");
    servers.set("b", "2");
    let mut watch =
        servers.configapi(["watch", "--initial", "-o", "json", "--linearizable"]).starts();
    for (name, value) in [("a", "1"), ("b", "2")] {
        let initial = event(&mut watch);
        assert_eq!(initial["event"], "InitialConfig");
        assert_eq!(initial["config"]["name"], name);
        assert_eq!(initial["config"]["value"], value);
    }
    servers.set("a", "3");
    assert_eq!(seen(&mut watch), (3, "3".to_owned()));
    watch.signal("INT");
    watch.ends().failed_with(130);
}

#[test]
fn a_watch_goes_on_by_itself_where_it_was_when_the_connection_is_lost() {
    let servers = Servers::start();
    let proxy = servers.proxy(servers.query, []);
    let url = format!("http://{}", proxy.address);
    let watch = ["watch", "-o", "json", "--query-url", &url, "--from", "0"];
    let mut watch = servers.configapi(watch).starts();
    watch.says("watching");
    for round in 0..3 {
        let position = 2 * round + 1;
        servers.set("a", &position.to_string());
        assert_eq!(seen(&mut watch), (position, position.to_string()));
        proxy.cut();
        servers.set("a", &(position + 1).to_string());
        assert_eq!(seen(&mut watch), (position + 1, (position + 1).to_string()));
        watch.says("connected again");
    }
    watch.signal("INT");
    let ended = watch.ends().failed_with(130);
    assert!(ended.stderr.contains("--from 1-6"), "{ended:#?}");
}

#[test]
fn a_watch_gives_up_when_nobody_answers_for_too_long() {
    let servers = Servers::start();
    let watch = ["watch", "--query-url", "http://127.0.0.1:1", "--give-up-after", "300ms"];
    let ended = servers.configapi(watch).ends().failed_with(3);
    assert!(ended.stderr.contains("UNAVAILABLE"), "{ended:#?}");
}

#[test]
fn a_token_of_another_epoch_ends_a_watch() {
    let servers = Servers::start();
    servers.set("a", "1");
    let ended = servers.configapi(["watch", "--from", "7-1"]).ends().failed_with(3);
    assert!(ended.stderr.contains("LOG_CHANGED"), "{ended:#?}");
}

#[test]
fn a_table_is_one_line_for_each_event() {
    let servers = Servers::start();
    servers.configapi(["set", "a", "x\ny", "--actor", "ada", "--reason", "why"]).ends().succeeded();
    servers.configapi(["delete", "a", "--actor", "bob"]).ends().succeeded();
    let ended = servers.configapi(["watch", "--from", "0", "--count", "2"]).ends().succeeded();
    let lines: Vec<_> = ended.stdout.lines().filter_map(|line| line.split_once("  ")).collect();
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, [r"+ default/a v1 = x\ny  (ada: why)", "- default/a v2  (bob)"]);
}

#[test]
fn a_watch_begins_so_long_ago() {
    let servers = Servers::start();
    for value in ["1", "2"] {
        servers.configapi(["set", "a", value]).ends().succeeded();
    }
    let watch = |count, from| {
        servers.configapi(["watch", "-o", "raw", "--count", count, "--from", from]).ends()
    };
    let ended = watch("2", "1h").succeeded();
    assert_eq!(ended.stdout.lines().count(), 2, "{ended:#?}");
    assert!(ended.stderr.contains("watching, from 1-0 on"), "{ended:#?}");
    let history = servers.configapi(["history", "a", "-o", "json"]).ends().succeeded().json();
    let time = history[0]["recorded_at"].as_str().unwrap();
    let ended = watch("1", time).succeeded();
    assert!(ended.stderr.contains("watching, from 1-1 on"), "{ended:#?}");
    let ended = watch("1", "yesterday").failed_with(2);
    assert!(ended.stderr.contains("a time ago (15m, 7d)"), "{ended:#?}");

    let from_now = ["watch", "-o", "json", "--from", "now", "--linearizable"];
    let mut watch = servers.configapi(from_now).starts();
    watch.says("watching, from 1-2 on");
    servers.set("a", "3");
    assert_eq!(seen(&mut watch), (3, "3".to_owned()));
}

#[test]
fn a_reader_that_stands_still_does_not_keep_a_watch_from_ending() {
    let servers = Servers::start();
    servers.configapi(["set", "large", "-"]).stdin("x".repeat(500_000)).ends().succeeded();
    let mut watch = servers.configapi(["watch", "--from", "0", "--linearizable"]).starts();
    // It has begun to write what no pipe takes as a whole.
    assert!(!watch.stdout.fill_buf().unwrap().is_empty());
    watch.signal("INT");
    let asked = Instant::now();
    while watch.child.try_wait().unwrap().is_none() {
        if asked.elapsed() > Duration::from_secs(20) {
            watch.signal("KILL");
            panic!("it does not end");
        }
    }
    let ended = watch.ends().failed_with(130);
    assert!(!ended.stderr.contains("--from 1-1"), "{ended:#?}");
}

#[test]
fn a_watch_of_a_log_that_lost_what_it_saw_is_not_told_to_go_on_with_its_token() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let backup = directory.path().join("backup.jsonl");
    let backup = backup.to_str().unwrap();
    configapi(["backup", "--store", &store, backup]).ends().succeeded();
    let other = format!("sqlite:{}", directory.path().join("other.db").display());
    configapi(["restore-backup", "--store", &other, backup]).ends().succeeded();
    let (lost, restored) = (Serving::start(&store), Serving::start(&other));
    lost.configapi(["set", "late", "1"]).ends().succeeded();
    let urls = format!("http://{},http://{}", lost.query, restored.query);
    let watch = ["watch", "--from", "1-7", "-o", "json", "--query-url", &urls];
    let mut watch = configapi(watch).starts();
    assert_eq!(seen(&mut watch), (8, "1".to_owned()));
    drop(lost);
    let ended = watch.ends().failed_with(3);
    assert!(ended.stderr.contains("start over without the old token"), "{ended:#?}");
    assert!(!ended.stderr.contains("--from"), "{ended:#?}");
}
