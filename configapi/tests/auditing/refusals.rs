//! Logs that a worker must not go on with, and one that it must.

use std::fs;

use configapi_event_log::domain::Timestamp;
use configapi_event_log::{PageLimit, StoredEvent, seal};
use configapi_store::{Access, StoreUrl, open};
use serde_json::Value;

use super::{Worker, parsed, positions};
use crate::epochs::copy_of;
use crate::support::stored::{tamper, written, written_anew};
use crate::support::{Ended, Serving, configapi};

/// A worker that has written everything, on a log of its own.
pub fn caught_up(directory: &std::path::Path) -> Worker {
    let store = written(directory);
    let worker = Worker::new(&store, directory);
    worker.to_file(&["--once"]).ends().succeeded();
    worker
}

pub fn on(worker: &Worker, store: &str) -> Worker {
    Worker::new(store, &worker.directory)
}

/// Fails the test unless the worker was refused like this, and its checkpoint stayed.
#[track_caller]
fn assert_refused(worker: &Worker, part: &str) -> Ended {
    let before = worker.checkpoint();
    let ended = worker.to_file(&[]).ends();
    assert_eq!(ended.code, 1, "{ended:#?}");
    assert!(ended.stderr.contains(part), "{ended:#?}");
    assert_eq!(worker.checkpoint(), before);
    ended
}

#[test]
fn another_log_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let worker = caught_up(directory.path());
    let other = tempfile::tempdir().unwrap();
    assert_refused(&on(&worker, &written_anew(other.path())), "the checkpoint is of log");
    assert_eq!(worker.records().len(), 7);
}

/// Puts a file of SQLite in the place of another, under whoever has that open.
pub fn replace(store: &str, other: &str) {
    let path = |store: &str| store.strip_prefix("sqlite:").unwrap().to_owned();
    fs::rename(path(other), path(store)).unwrap();
}

#[test]
fn another_log_in_the_place_of_the_one_that_is_followed_ends_the_worker() {
    let directory = tempfile::tempdir().unwrap();
    let worker = caught_up(directory.path());
    let before = worker.checkpoint();
    let other = tempfile::tempdir().unwrap();
    let other = written_anew(other.path());
    let running = worker.to_file(&[]).starts();
    running.says("going on");
    replace(&worker.store, &other);
    let ended = running.ends().failed_with(1);
    assert!(ended.stderr.contains("it holds log"), "{ended:#?}");
    assert_eq!((worker.checkpoint(), worker.records().len()), (before, 7));
}

#[test]
fn a_copy_of_the_log_in_its_place_is_read_on() {
    let directory = tempfile::tempdir().unwrap();
    let worker = caught_up(directory.path());
    let copy = worker.path("copy.db");
    fs::copy(worker.path("log.db"), &copy).unwrap();
    let copy = format!("sqlite:{copy}");
    Serving::start(&copy).configapi(["set", "late", "1"]).ends().succeeded();
    let running = worker.to_file(&[]).starts();
    running.says("going on");
    replace(&worker.store, &copy);
    running.says("can be read again");
    while worker.checkpoint()["position"] != 8 {}
    running.signal("TERM");
    running.ends().succeeded();
    assert_eq!(positions(&worker.records()), (1..=8).collect::<Vec<_>>());
}

#[test]
fn a_log_that_lost_its_tail_without_a_new_epoch_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let worker = caught_up(directory.path());
    tamper(&worker.store, "DELETE FROM events WHERE position = 7");
    assert_refused(&worker, "no longer holds the event at position 7");
    // Nor does it help that another event takes its place.
    Serving::start(&worker.store).configapi(["set", "x", "1"]).ends().succeeded();
    assert_refused(&worker, "no longer holds the event at position 7");
}

#[test]
fn an_edited_event_is_refused_and_none_after_it_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    tamper(&store, "UPDATE events SET metadata = '{\"actor\":\"nobody\"}' WHERE position = 4");
    let worker = Worker::new(&store, directory.path());
    let ended = worker.to_file(&[]).ends().failed_with(1);
    assert!(ended.stderr.contains("position 4"), "{ended:#?}");
    assert!(positions(&worker.records()).iter().all(|position| *position < 4));
}

#[test]
fn a_missing_event_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    tamper(&store, "DELETE FROM events WHERE position = 2");
    let worker = Worker::new(&store, directory.path());
    let ended = worker.to_file(&[]).ends().failed_with(1);
    assert!(ended.stderr.contains("position 2"), "{ended:#?}");
}

/// Appends an event as a program of the future would.
fn append_unknown(store: &str) {
    let url: StoreUrl = store.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let log = open(&url, Access::Write, Timestamp::default()).await.unwrap();
        let head = log.head().await.unwrap();
        let last = log.read(head.position, PageLimit::TAIL).await.unwrap();
        let last = last.events.into_iter().next().unwrap();
        let mut row = StoredEvent {
            position: head.position.next(),
            version: last.version.next(),
            event_type: "ConfigValueEnchanted".into(),
            request_id: None,
            ..last
        };
        seal(head.hash, &mut row);
        log.append(&head, &[row]).await.unwrap();
    });
}

#[test]
fn an_event_of_an_unknown_type_stops_the_worker_after_those_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    append_unknown(&store);
    let worker = Worker::new(&store, directory.path());
    let ended = worker.to_file(&[]).ends().failed_with(1);
    assert!(ended.stderr.contains("ConfigValueEnchanted"), "{ended:#?}");
    assert_eq!(positions(&worker.records()), (1..=7).collect::<Vec<_>>());
    assert_refused(&worker, "position 8");
}

#[test]
fn after_a_restore_the_new_epoch_is_told_and_the_trail_goes_on_from_there() {
    let directory = tempfile::tempdir().unwrap();
    let worker = caught_up(directory.path());
    let backup = worker.path("backup.jsonl");
    configapi(["backup", "--store", &worker.store, &backup]).ends().succeeded();
    Serving::start(&worker.store).configapi(["set", "lost", "1"]).ends().succeeded();
    worker.to_file(&["--once"]).ends().succeeded();
    assert_eq!(worker.checkpoint()["position"], 8);

    let restored = format!("sqlite:{}", worker.path("restored.db"));
    configapi(["restore-backup", "--store", &restored, &backup]).ends().succeeded();
    Serving::start(&restored).configapi(["set", "new", "1"]).ends().succeeded();
    let moved = on(&worker, &restored);
    moved.to_file(&["--once"]).ends().succeeded();
    let records = moved.records();
    let tokens: Vec<_> = records.iter().map(|record| record["token"].as_str().unwrap()).collect();
    assert_eq!(tokens[6..], ["1-7", "1-8", "2-7", "2-8"]);
    assert_eq!(records[8]["kind"], "LogEpochBegan");
    assert_eq!(records[8]["first_position"], 8);
    // It began where the log lost its end, so that nothing comes again.
    assert_eq!(records[8].get("void_from"), None);
    assert_eq!(records[9]["name"], "new");
    // The old log is now an older copy of this one.
    assert_refused(&worker, "an older copy");
}

#[test]
fn a_worker_that_begins_with_the_first_event_is_told_of_all_epochs() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    for _ in 0..2 {
        configapi(["begin-epoch", "--store", &store, "--yes"]).ends().succeeded();
    }
    let worker = Worker::new(&store, directory.path());
    worker.to_file(&["--once"]).ends().succeeded();
    let records = worker.records();
    let told = |index: usize| (&records[index]["kind"], &records[index]["epoch"]);
    assert_eq!(told(0), (&"LogEpochBegan".into(), &2.into()));
    assert_eq!(told(1), (&"LogEpochBegan".into(), &3.into()));
    assert_eq!(positions(&records[2..]), (1..=7).collect::<Vec<_>>());
    assert_eq!(records[8]["token"], "1-7");
}

#[test]
fn a_log_that_lacks_its_end_is_not_taken_for_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    configapi(["begin-epoch", "--store", &store, "--yes"]).ends().succeeded();
    let whole = copy_of(&store, directory.path());
    tamper(&store, "DELETE FROM events WHERE position = 7");
    let worker = Worker::new(&store, directory.path());
    let ends_early = || {
        let ended = worker.to_file(&["--once"]).ends().failed_with(3);
        let why = "the log ends at position 6, and its epoch 2 began after position 7";
        assert!(ended.stderr.contains(why), "{ended:#?}");
    };
    ends_early();
    assert_eq!(worker.records(), [] as [Value; 0]);
    // Nor by a worker that has read all of it, in that very epoch.
    let whole = on(&worker, &whole);
    whole.to_file(&["--once"]).ends().succeeded();
    ends_early();
    assert_eq!(worker.checkpoint(), whole.checkpoint());
}

#[test]
fn the_checkpoint_is_not_written_over_the_records() {
    let directory = tempfile::tempdir().unwrap();
    let worker = caught_up(directory.path());
    let before = worker.checkpoint();
    let file = worker.path("./checkpoint");
    let ended = worker.configapi(&["--once", "--file", &file]).ends().failed_with(2);
    assert!(ended.stderr.contains("--file and --checkpoint are both"), "{ended:#?}");
    assert_eq!(worker.checkpoint(), before);
}

/// Its lock and its draft have names that nobody gave.
#[test]
fn what_lies_beside_a_checkpoint_is_not_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let worker = caught_up(directory.path());
    for name in ["checkpoint.lock", "checkpoint.draft"] {
        let file = worker.path(name);
        fs::write(&file, "{\"audit\":\"v1\"}\n").unwrap();
        let ended = worker.configapi(&["--once", "--file", &file]).ends().failed_with(2);
        assert!(ended.stderr.contains("is written beside --checkpoint"), "{ended:#?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"audit\":\"v1\"}\n");

        let elsewhere = tempfile::tempdir().unwrap();
        let _ = written(elsewhere.path());
        let database = fs::read(elsewhere.path().join("log.db")).unwrap();
        fs::write(&file, &database).unwrap();
        let store = format!("sqlite:{file}");
        let of_store = Worker::new(&store, directory.path());
        let ended = of_store.configapi(&["--once"]).ends().failed_with(1);
        assert!(ended.stderr.contains("is a file of the store itself"), "{ended:#?}");
        assert_eq!(fs::read(&file).unwrap(), database);
        fs::remove_file(&file).unwrap();
    }
    let lock = worker.path("checkpoint.lock");
    fs::write(&lock, "mine").unwrap();
    worker.configapi(&["--once"]).ends().succeeded();
    assert_eq!(fs::read_to_string(&lock).unwrap(), "mine");
}

#[test]
fn one_checkpoint_serves_one_worker() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let mut running = worker.configapi(&[]).starts();
    running.line();
    let ended = worker.configapi(&[]).ends().failed_with(1);
    assert!(ended.stderr.contains("another worker uses"), "{ended:#?}");
    running.signal("KILL");
    running.ends();
    worker.configapi(&["--once"]).ends().succeeded();
}

#[test]
fn a_checkpoint_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let worker = caught_up(directory.path());
    let good = fs::read_to_string(worker.path("checkpoint")).unwrap();
    let with = |name: &str, value: Value| {
        let mut checkpoint = worker.checkpoint();
        checkpoint[name] = value;
        checkpoint.to_string()
    };
    let hash = &worker.checkpoint()["hash"];
    let known = |positions: &[u64]| {
        let earlier = positions.iter().map(|position| serde_json::json!([position, hash]));
        with("earlier", earlier.collect())
    };
    assert!(known(&[0, 6]).contains("[6,"), "or what follows shows nothing");
    let bad = [
        String::new(),
        "{}".to_owned(),
        good[..good.len() / 2].to_owned(),
        with("form", "another".into()),
        with("version", 1.into()),
        with("version", 3.into()),
        with("earlier", Value::Null),
        with("earlier", serde_json::json!([[0, "00"]])),
        known(&[6, 5]),
        known(&[6, 7]),
    ];
    for text in bad {
        fs::write(worker.path("checkpoint"), text).unwrap();
        let ended = worker.configapi(&["--once"]).ends().failed_with(1);
        assert!(ended.stderr.contains("not a checkpoint"), "{ended:#?}");
    }
}

#[test]
fn a_store_that_is_not_there_ends_a_worker_that_runs_once() {
    let directory = tempfile::tempdir().unwrap();
    let worker = Worker::new("sqlite:/nowhere/log.db", directory.path());
    worker.configapi(&["--once"]).ends().failed_with(3);
    let waiting = worker.configapi(&[]).starts();
    waiting.says("not there yet");
    waiting.signal("TERM");
    assert_eq!(parsed(&waiting.ends().succeeded().stdout).len(), 0);
}

/// As `verify` and `backup` say of it: to try again would not help.
#[test]
fn a_store_that_holds_no_log_any_more_is_refused_by_a_worker_that_runs_once() {
    for (sql, why) in [
        ("DELETE FROM events WHERE position = 0", "the log has no genesis"),
        ("DELETE FROM epochs", "the log has no epoch"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = written(directory.path());
        tamper(&store, sql);
        let ended = Worker::new(&store, directory.path()).configapi(&["--once"]).ends();
        let ended = ended.failed_with(1);
        assert!(ended.stderr.contains(why), "{ended:#?}");
        assert!(ended.stderr.contains("configapi verify"), "{ended:#?}");
    }
}
