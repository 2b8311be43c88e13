//! Databases that lost their end, were written on, and entered an epoch only then; and standbys of them,
//! which hear of that later than the worker did.

use super::Worker;
use super::losses::{assert_held, begin_epoch, epochs_told, set};
use super::metrics::{ADMIN, admin_of, ready, stop};
use super::refusals::on;
use crate::support::Running;
use crate::support::database::{self, Database};

/// A log of three events, and a worker that has told of so many more, all of which are lost.
fn restored(directory: &std::path::Path, lost: usize) -> (Worker, Database) {
    let (original, worker) = caught_up(directory);
    let restored = original.copy();
    set(&original.url, "lost", lost);
    worker.to_file(&["--once"]).ends().succeeded();
    assert_eq!(worker.checkpoint()["position"], 3 + lost);
    (on(&worker, &restored.url), restored)
}

fn caught_up(directory: &std::path::Path) -> (Database, Worker) {
    let database = database::create();
    set(&database.url, "kept", 3);
    let worker = Worker::new(&database.url, directory);
    worker.to_file(&["--once"]).ends().succeeded();
    (database, worker)
}

/// Two were lost, and two others written before the epoch began; after it one more, to which this comes.
#[track_caller]
fn assert_comes_to_the_end(worker: &Worker, running: Running) {
    while worker.checkpoint()["position"] != 6 {}
    stop(running);
    assert_held(worker);
    let told: Vec<_> = worker.records().iter().map(|record| record["token"].clone()).collect();
    assert_eq!(told, ["1-1", "1-2", "1-3", "1-4", "1-5", "2-5", "1-4", "1-5", "2-6"]);
}

/// What a standby of this database has by now, and what it says of itself.
fn standby_of(primary: &Database) -> Database {
    let standby = primary.copy();
    standby.plays_roles();
    standby.stands_by(true);
    standby
}

#[test]
fn what_postgres_was_given_before_a_late_epoch_has_its_records() {
    // The epoch begins before where the worker stands, there, and beyond.
    for (lost, others) in [(3, 1), (3, 3), (1, 3)] {
        let directory = tempfile::tempdir().unwrap();
        let (worker, restored) = restored(directory.path(), lost);
        set(&restored.url, "other", others);
        begin_epoch(&restored.url);
        worker.to_file(&["--once"]).ends().succeeded();
        assert_held(&worker);
        set(&restored.url, "new", 1);
        worker.to_file(&["--once"]).ends().succeeded();
        assert_held(&worker);
        let told = epochs_told(&worker);
        let epoch = |name: &str| told[0][name].as_u64().unwrap();
        assert_eq!((told.len(), epoch("epoch"), epoch("void_from")), (1, 2, 4));
        assert_eq!(epoch("first_position"), 4 + others as u64);
        let again = worker.records().iter().filter(|record| record["position"] == 3).count();
        assert_eq!(again, 1, "what still holds was told again");
    }
}

#[test]
fn a_worker_that_runs_finds_what_postgres_was_given_before_a_late_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let (original, worker) = caught_up(directory.path());
    let restored = original.copy();
    set(&original.url, "lost", 2);
    let running = worker.to_file(&[]).starts();
    while worker.checkpoint()["position"] != 5 {}
    set(&restored.url, "other", 3);
    begin_epoch(&restored.url);
    restored.replaces(&original);
    running.says("going back");
    while worker.checkpoint()["position"] != 6 {}
    stop(running);
    assert_held(&worker);
    assert_eq!(epochs_told(&worker)[0]["void_from"], 4);
}

#[test]
fn a_worker_waits_for_a_standby_that_has_not_heard_of_its_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let (worker, primary) = restored(directory.path(), 2);
    set(&primary.url, "other", 1);
    let standby = standby_of(&primary);
    set(&primary.url, "another", 1);
    begin_epoch(&primary.url);
    worker.to_file(&["--once"]).ends().succeeded();
    assert_held(&worker);
    let (checkpoint, records) = (worker.checkpoint(), worker.records());
    assert_eq!((&checkpoint["epoch"], &checkpoint["position"]), (&2.into(), &5.into()));

    let worker = on(&worker, &standby.url);
    let why = "the standby has not heard of epoch 2 yet";
    let ended = worker.to_file(&["--once"]).ends().failed_with(3);
    assert!(ended.stderr.contains(why), "{ended:#?}");
    let running = worker.to_file(&[]).starts();
    running.says(why);
    assert_eq!((worker.checkpoint(), worker.records()), (checkpoint, records));
    set(&primary.url, "new", 1);
    standby_of(&primary).replaces(&standby);
    running.says("can be read again");
    assert_comes_to_the_end(&worker, running);
}

/// Behind one address there may be several, and they may change places at any time.
#[test]
fn a_worker_that_runs_waits_for_a_standby_that_has_not_heard_of_its_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let (worker, primary) = restored(directory.path(), 2);
    set(&primary.url, "other", 1);
    let behind = standby_of(&primary);
    set(&primary.url, "another", 1);
    begin_epoch(&primary.url);
    let abreast = primary.copy();
    let running = worker.to_file(&ADMIN).starts();
    let admin = admin_of(&running);
    // It goes back first, in the epoch that it enters.
    while worker.checkpoint()["epoch"] != 2 {}
    while worker.checkpoint()["position"] != 5 {}
    let (checkpoint, records) = (worker.checkpoint(), worker.records());
    behind.replaces(&primary);
    // Whether it is the store that says so or the worker depends on when the other one came.
    assert_eq!(ready(&admin, "epoch"), 503);
    assert_eq!((worker.checkpoint(), worker.records()), (checkpoint, records));
    set(&abreast.url, "new", 1);
    abreast.replaces(&primary);
    assert_comes_to_the_end(&worker, running);
}

/// What it lacks may still be to come, so only an epoch says that it is lost.
#[test]
fn a_worker_waits_for_a_standby_that_has_not_read_as_far_as_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let (worker, primary) = restored(directory.path(), 2);
    set(&primary.url, "other", 1);
    let standby = standby_of(&primary);
    let (checkpoint, records) = (worker.checkpoint(), worker.records());
    let worker = on(&worker, &standby.url);
    let why = "the standby has not read this far yet";
    let ended = worker.to_file(&["--once"]).ends().failed_with(3);
    assert!(ended.stderr.contains(why), "{ended:#?}");
    let running = worker.to_file(&[]).starts();
    running.says(why);
    assert_eq!((worker.checkpoint(), worker.records()), (checkpoint, records));
    set(&primary.url, "another", 1);
    begin_epoch(&primary.url);
    set(&primary.url, "new", 1);
    standby_of(&primary).replaces(&standby);
    running.says("going back");
    assert_comes_to_the_end(&worker, running);
}

/// What it has at that position may be in no record, but only an epoch says that the one that is, is lost.
#[test]
fn a_worker_waits_for_a_standby_that_has_others_and_has_not_heard_of_the_late_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let (worker, primary) = restored(directory.path(), 2);
    set(&primary.url, "other", 2);
    let standby = standby_of(&primary);
    let (checkpoint, records) = (worker.checkpoint(), worker.records());
    let worker = on(&worker, &standby.url);
    let why = "has not heard yet of the epoch that says so";
    let ended = worker.to_file(&["--once"]).ends().failed_with(3);
    assert!(ended.stderr.contains(why), "{ended:#?}");
    let running = worker.to_file(&[]).starts();
    running.says(why);
    assert_eq!((worker.checkpoint(), worker.records()), (checkpoint, records));
    begin_epoch(&primary.url);
    set(&primary.url, "new", 1);
    standby_of(&primary).replaces(&standby);
    running.says("going back");
    assert_comes_to_the_end(&worker, running);
}
