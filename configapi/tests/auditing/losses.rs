//! Logs that lost their end, and were written on before an epoch said so: what was written meanwhile has
//! its records, and what comes twice is little.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::refusals::{caught_up, on, replace};
use super::restarts::apply;
use super::{Worker, positions};
use crate::epochs::copy_of;
use crate::support::stored::{rows, tamper};
use crate::support::{Serving, configapi};

pub fn set(store: &str, value: &str, count: usize) {
    let serving = Serving::start(store);
    for number in 0..count {
        serving.configapi(["set", &format!("c{number}"), value]).ends().succeeded();
    }
}

pub fn begin_epoch(store: &str) {
    configapi(["begin-epoch", "--store", store, "--yes"]).ends().succeeded();
}

/// What a receiver holds that does as is documented: each position with its hash.
fn held(records: &[Value]) -> BTreeMap<u64, Value> {
    let mut held = BTreeMap::new();
    for record in records {
        if record["kind"] == "LogEpochBegan" {
            let void_from = record.get("void_from").unwrap_or(&record["first_position"]);
            held.split_off(&void_from.as_u64().unwrap());
        } else {
            held.insert(record["position"].as_u64().unwrap(), record["hash"].clone());
        }
    }
    held
}

#[track_caller]
pub fn assert_held(worker: &Worker) {
    let rows = rows(&worker.store).into_iter();
    let rows = rows.map(|row| (row["position"].as_u64().unwrap(), row["hash"].clone()));
    assert_eq!(held(&worker.records()), rows.collect());
}

pub fn epochs_told(worker: &Worker) -> Vec<Value> {
    let records = worker.records().into_iter();
    records.filter(|record| record["kind"] == "LogEpochBegan").collect()
}

/// A worker that has told of so many events that are lost, and is led to a log in which so many others
/// were written before an epoch began.
pub fn too_late(directory: &std::path::Path, lost: usize, others: usize) -> Worker {
    let worker = caught_up(directory);
    let copy = copy_of(&worker.store, directory);
    set(&worker.store, "lost", lost);
    worker.to_file(&["--once"]).ends().succeeded();
    assert_eq!(worker.checkpoint()["position"], 7 + lost);
    set(&copy, "other", others);
    begin_epoch(&copy);
    on(&worker, &copy)
}

#[test]
fn what_was_written_before_a_late_epoch_has_its_records() {
    // The epoch begins before where the worker stands, there, and beyond.
    for (lost, others) in [(3, 1), (3, 3), (1, 3)] {
        let directory = tempfile::tempdir().unwrap();
        let worker = too_late(directory.path(), lost, others);
        worker.to_file(&["--once"]).ends().succeeded();
        assert_held(&worker);
        set(&worker.store, "new", 1);
        worker.to_file(&["--once"]).ends().succeeded();
        assert_held(&worker);
        let told = epochs_told(&worker);
        let epoch = |name: &str| told[0][name].as_u64().unwrap();
        assert_eq!((told.len(), epoch("epoch"), epoch("void_from")), (1, 2, 8));
        assert_eq!(epoch("first_position"), 8 + others as u64);
        // What still holds was not told again.
        let records = worker.records();
        assert_eq!(records.iter().filter(|record| record["position"] == 7).count(), 1);
    }
}

#[test]
fn a_worker_that_runs_finds_what_was_written_before_a_late_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let moved = too_late(directory.path(), 1, 3);
    let worker = on(&moved, &format!("sqlite:{}", moved.path("log.db")));
    let running = worker.to_file(&[]).starts();
    running.says("going on");
    replace(&worker.store, &moved.store);
    running.says("going back");
    while worker.checkpoint()["position"] != 10 {}
    running.signal("TERM");
    running.ends().succeeded();
    assert_held(&worker);
}

/// Else it went back farther than it has to, and said that more is void.
#[test]
fn a_worker_that_runs_waits_for_the_end_of_a_restore() {
    let directory = tempfile::tempdir().unwrap();
    let worker = caught_up(directory.path());
    let restored = copy_of(&worker.store, directory.path());
    begin_epoch(&restored);
    let elsewhere = tempfile::tempdir().unwrap();
    let half = copy_of(&restored, elsewhere.path());
    tamper(&half, "DELETE FROM events WHERE position = 7");
    set(&worker.store, "lost", 1);
    let running = worker.to_file(&[]).starts();
    running.says("going on");
    replace(&worker.store, &half);
    running.says("a restore is under way");
    replace(&worker.store, &restored);
    while worker.checkpoint()["epoch"] != 2 {}
    running.signal("TERM");
    running.ends().succeeded();
    assert_held(&worker);
    assert_eq!(epochs_told(&worker)[0].get("void_from"), None);
}

/// At position 757, in a log of which a copy was made when it ended at 507.
fn far_on(directory: &std::path::Path) -> (Worker, String) {
    let worker = caught_up(directory);
    let serving = Serving::start(&worker.store);
    apply(&serving, 0);
    apply(&serving, 1);
    let copy = copy_of(&worker.store, directory);
    apply(&serving, 2);
    worker.to_file(&["--once"]).ends().succeeded();
    assert_eq!(worker.checkpoint()["position"], 757);
    (worker, copy)
}

#[test]
fn after_a_large_loss_little_more_than_that_is_told_again() {
    let directory = tempfile::tempdir().unwrap();
    let (worker, copy) = far_on(directory.path());
    let known = worker.checkpoint()["earlier"].as_array().unwrap().len();
    assert!(known <= 16 + 2 * 10, "{known} of 757 events");
    set(&copy, "other", 5);
    begin_epoch(&copy);
    let moved = on(&worker, &copy);
    moved.to_file(&["--once"]).ends().succeeded();
    assert_held(&moved);
    let void_from = epochs_told(&moved)[0]["void_from"].as_u64().unwrap();
    assert!((257..=508).contains(&void_from), "again from {void_from}");

    // And so it is after another loss, which has nothing to do with the first one.
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = copy_of(&moved.store, elsewhere.path());
    set(&moved.store, "lost", 1);
    moved.to_file(&["--once"]).ends().succeeded();
    begin_epoch(&copy);
    let moved = on(&moved, &copy);
    moved.to_file(&["--once"]).ends().succeeded();
    assert_held(&moved);
    assert_eq!(epochs_told(&moved)[1].get("void_from"), None);
}

/// Makes the checkpoint what it was before it told of earlier events.
fn forget_earlier(worker: &Worker) {
    let mut checkpoint = worker.checkpoint();
    checkpoint["version"] = 1.into();
    checkpoint.as_object_mut().unwrap().remove("earlier").unwrap();
    fs::write(worker.path("checkpoint"), format!("{checkpoint}\n")).unwrap();
}

#[test]
fn a_checkpoint_of_the_first_version_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let (worker, copy) = far_on(directory.path());
    forget_earlier(&worker);
    set(&worker.store, "lost", 1);
    worker.to_file(&["--once"]).ends().succeeded();
    assert_eq!(positions(&worker.records()), (1..=758).collect::<Vec<_>>());
    assert_eq!(worker.checkpoint()["version"], 2);
    // What it does not tell was looked up while the log still held it.
    begin_epoch(&copy);
    let moved = on(&worker, &copy);
    moved.to_file(&["--once"]).ends().succeeded();
    assert_held(&moved);
    let void_from = epochs_told(&moved)[0]["void_from"].as_u64().unwrap();
    assert!(void_from > 256, "again from {void_from}");
}

#[test]
fn a_checkpoint_that_tells_of_no_event_that_the_log_holds_has_all_told_again() {
    let directory = tempfile::tempdir().unwrap();
    let worker = too_late(directory.path(), 3, 1);
    forget_earlier(&worker);
    worker.to_file(&["--once"]).ends().succeeded();
    assert_held(&worker);
    assert_eq!(epochs_told(&worker)[0]["void_from"], 1);
}
