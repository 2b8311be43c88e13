//! Restarts and crashes of the worker.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use super::{Worker, assert_whole, parsed};
use crate::support::stored::written;
use crate::support::{Running, Serving, database};

/// Sets so many configs as one command: more than the worker delivers at once.
pub fn apply(serving: &Serving, round: usize) {
    let mut file = String::new();
    for name in 0..250 {
        writeln!(file, "- {{set: r{round}/c{name}, value: \"{name}\"}}").unwrap();
    }
    serving.configapi(["apply", "-"]).stdin(file).ends().succeeded();
}

/// Waits until there are more records than before, or the worker has ended.
fn wait_for_more(worker: &Worker, running: &mut Running, before: usize) {
    while worker.records().len() <= before {
        assert!(running.child.try_wait().unwrap().is_none(), "the worker has ended");
        // The processor is the worker's until then.
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_trail_of_restarted_and_killed_workers_is_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", directory.path().join("log.db").display());
    let serving = Serving::start(&store);
    let worker = Worker::new(&store, directory.path());
    let mut kills = 0;
    for (round, signal) in
        ["TERM", "KILL", "TERM", "TERM", "KILL", "TERM", "TERM"].iter().enumerate()
    {
        let before = worker.records().len();
        let mut running = worker.to_file(&[]).starts();
        // Written before it starts and while it runs.
        apply(&serving, round);
        wait_for_more(&worker, &mut running, before);
        running.signal(signal);
        let code = running.ends().code;
        let is_kill = *signal == "KILL";
        assert_eq!(code, if is_kill { -1 } else { 0 });
        kills += usize::from(is_kill);
    }
    let last = worker.to_file(&["--once"]).ends().succeeded();
    assert!(last.stderr.contains("ended"), "{last:#?}");
    let repeats = assert_whole(&worker.records(), &store);
    assert!(repeats <= kills, "{repeats} repeats after {kills} kills");
    assert_eq!(worker.checkpoint()["position"], 7 * 250);
}

#[test]
fn a_worker_on_stdout_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let first = worker.configapi(&["--once"]).ends().succeeded();
    assert_whole(&parsed(&first.stdout), &store);
    assert_eq!(worker.configapi(&["--once"]).ends().succeeded().stdout, "");
    let mut running = worker.configapi(&[]).starts();
    let serving = Serving::start(&store);
    serving
        .configapi(["set", "e", "1", "--actor", "alice", "--reason", "why not"])
        .ends()
        .succeeded();
    let record = &parsed(&format!("{}\n", running.line()))[0];
    assert_eq!((&record["token"], &record["actor"]), (&"1-8".into(), &"alice".into()));
    assert_eq!(record["reason"], "why not");
    running.signal("TERM");
    assert_eq!(running.ends().succeeded().stdout, "");
    assert_eq!(worker.checkpoint()["position"], 8);
}

#[test]
fn a_line_that_was_cut_off_swallows_none_of_those_appended_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let file = directory.path().join("appended.jsonl");
    let half = "{\"audit\":1,\"token\":\"1-1\",\"log_id\":\"01";
    fs::write(&file, half).unwrap();
    worker.configapi(&["--once"]).appends_stdout_to(&file).ends().succeeded();
    let text = fs::read_to_string(&file).unwrap();
    let (first, records) = text.split_once('\n').unwrap();
    assert_eq!(first, half);
    assert_eq!(assert_whole(&parsed(records), &store), 0);
    // What ends as it should is gone on with at once.
    Serving::start(&store).configapi(["set", "e", "1"]).ends().succeeded();
    worker.configapi(&["--once"]).appends_stdout_to(&file).ends().succeeded();
    let text = fs::read_to_string(&file).unwrap();
    let (_, records) = text.split_once('\n').unwrap();
    assert_eq!(assert_whole(&parsed(records), &store), 0);
}

/// Looked at from outside, where that can be done: else nothing tells a synced file from one that is not.
#[test]
fn records_on_stdout_are_on_the_disk_before_the_checkpoint_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let (calls, checkpoint) = (worker.path("calls"), worker.path("checkpoint"));
    let trace = ["-f", "-y", "-e", "trace=fsync,rename", "-o", &calls];
    let mut probe = Command::new("strace");
    let can_trace = probe.args(trace).arg("true").status();
    if !can_trace.is_ok_and(|status| status.success()) {
        // Past the test runner's own capture, so that it is seen.
        let note = b"LEFT OUT: what is synced, and when; strace is missing or may not trace\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), note);
        return;
    }
    let file = fs::File::create(directory.path().join("appended.jsonl")).unwrap();
    let audit = ["audit", "--once", "--store", &store, "--checkpoint", &checkpoint];
    let mut traced = Command::new("strace");
    traced.args(trace).arg(env!("CARGO_BIN_EXE_configapi")).args(audit).stdout(file);
    assert!(traced.status().unwrap().success());
    let calls = fs::read_to_string(calls).unwrap();
    let first = |call: &str, of: &str| {
        calls.lines().position(|line| line.contains(call) && line.contains(of))
    };
    let (synced, saved) = (first("fsync(", "appended.jsonl"), first("rename(", "checkpoint"));
    let drafted = first("fsync(", "checkpoint.draft>");
    let place = directory.path().canonicalize().unwrap();
    let kept = first("fsync(", &format!("<{}>", place.display()));
    assert!(saved.is_some(), "{calls}");
    assert!(synced.is_some() && synced < saved, "{calls}");
    // So is the checkpoint, before and after it takes its place.
    assert!(drafted.is_some() && drafted < saved, "{calls}");
    assert!(saved < kept, "{calls}");
}

#[test]
fn a_worker_follows_a_log_in_postgres() {
    let directory = tempfile::tempdir().unwrap();
    let database = database::create();
    let serving = Serving::start(&database.url);
    let worker = Worker::new(&database.url, directory.path());
    let mut running = worker.to_file(&[]).starts();
    apply(&serving, 0);
    wait_for_more(&worker, &mut running, 249);
    running.signal("TERM");
    running.ends().succeeded();
    assert_eq!(assert_whole(&worker.records(), &database.url), 0);
}

#[test]
fn records_that_nobody_reads_are_not_taken_for_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let ended = worker.configapi(&[]).starts().closes_stdout_and_ends();
    assert_eq!(ended.code, 3, "{ended:#?}");
    assert!(!directory.path().join("checkpoint").exists());
}

#[test]
fn values_are_only_written_if_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let redacted = Worker::new(&store, directory.path()).configapi(&["--once"]).ends().succeeded();
    for secret in ["two", "lines", "é", "text"] {
        assert!(!redacted.stdout.contains(secret), "{redacted:#?}");
        assert!(!redacted.stderr.contains(secret), "{redacted:#?}");
    }
    let records = parsed(&redacted.stdout);
    assert_eq!(records[1]["new_value"], serde_json::json!({"bytes": 11}));
    let other = tempfile::tempdir().unwrap();
    let worker = Worker::new(&store, other.path());
    let whole = worker.configapi(&["--once", "--include-values"]).ends().succeeded();
    let changes: Vec<_> = parsed(&whole.stdout)
        .iter()
        .map(|record| {
            let text = |value: &str| record[value]["text"].as_str().map(ToOwned::to_owned);
            (record["kind"].as_str().unwrap().to_owned(), text("old_value"), text("new_value"))
        })
        .collect();
    insta::assert_debug_snapshot!(changes);
}
