//! What an operator's command says of what it did: also where its output cannot be taken, and where it
//! is asked for once more.

use std::path::Path;

use crate::operating::on_store;
use crate::support::stored::written;
use crate::support::{Configapi, Serving, configapi};

/// A backup of this store, made in this directory; answers its path.
fn backed_up(store: &str, directory: &Path) -> String {
    let path = directory.join("backup.jsonl");
    let path = path.to_str().unwrap();
    configapi(["backup", "--store", store, path]).ends().succeeded();
    path.to_owned()
}

/// The store of this name in this directory.
fn store_in(directory: &Path, name: &str) -> String {
    format!("sqlite:{}", directory.join(name).with_extension("db").display())
}

#[test]
fn a_restore_that_is_done_is_known_though_the_log_went_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let backup = backed_up(&store, directory.path());
    let restored = store_in(directory.path(), "restored");
    on_store("restore-backup", &restored, &[&backup]).succeeded();
    let again = || on_store("restore-backup", &restored, &[&backup, "--resume"]);
    assert!(again().succeeded().stderr.contains("restored already"));

    // Another epoch changes nothing that the backup holds.
    on_store("begin-epoch", &restored, &["--yes"]).succeeded();
    let ended = again().succeeded();
    assert!(ended.stderr.contains("restored already, in epoch 3"), "{ended:#?}");
    assert_eq!((&ended.json()["epoch"], &ended.json()["head_position"]), (&3.into(), &7.into()));

    Serving::start(&restored).configapi(["set", "later", "1"]).ends().succeeded();
    let ended = again().failed_with(1);
    assert!(ended.stderr.contains("restored already, and the log went on by 1"), "{ended:#?}");
    assert!(!ended.stderr.contains("another log"), "{ended:#?}");
}

#[test]
fn what_went_another_way_than_the_backup_is_not_taken_for_its_restore() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let early = backed_up(&store, directory.path());
    let on = |store: &str, name| {
        Serving::start(store).configapi(["set", name, "1"]).ends().succeeded();
    };
    // One log, from which two went on.
    let other = store_in(directory.path(), "other");
    on_store("restore-backup", &other, &[&early]).succeeded();
    on(&other, "other");
    let later = tempfile::tempdir().unwrap();
    let backup = backed_up(&other, later.path());
    let twin = store_in(directory.path(), "twin");
    on_store("restore-backup", &twin, &[&early]).succeeded();
    on(&twin, "twin");
    on_store("begin-epoch", &twin, &["--yes"]).succeeded();
    let ended = on_store("restore-backup", &twin, &[&backup, "--resume"]).failed_with(1);
    assert!(ended.stderr.contains("another"), "{ended:#?}");
    assert_eq!(on_store("verify", &twin, &[]).succeeded().json()["head_position"], 8);
}

#[test]
fn what_is_done_is_said_though_it_cannot_be_printed() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let on = |command, store: &str, more: &[&str]| -> Configapi {
        let arguments = [command, "--store", store];
        configapi(arguments.into_iter().chain(more.iter().copied()))
    };
    let ended = on("begin-epoch", &store, &["--yes"]).has_no_room_for_stdout().ends();
    let ended = ended.failed_with(1);
    assert!(ended.stderr.contains("epoch 2 is begun"), "{ended:#?}");
    let verified = || on_store("verify", &store, &[]).succeeded().json();
    assert_eq!(verified()["epoch"], 2);
    on("begin-epoch", &store, &["--yes"]).nobody_reads_stdout().ends().succeeded();
    assert_eq!(verified()["epoch"], 3);

    let backup = backed_up(&store, directory.path());
    let restored = store_in(directory.path(), "restored");
    let ended = on("restore-backup", &restored, &[&backup]).has_no_room_for_stdout().ends();
    let ended = ended.failed_with(1);
    assert!(ended.stderr.contains("the backup is restored"), "{ended:#?}");
    assert_eq!(on_store("verify", &restored, &[]).succeeded().json()["epoch"], 4);
}

#[test]
fn an_import_that_is_made_says_so_though_its_report_cannot_be_printed() {
    let servers = crate::support::Servers::start();
    let import = servers.configapi(["import", "-", "-o", "json"]).stdin("{\"a\": \"1\"}");
    let ended = import.has_no_room_for_stdout().ends().failed_with(1);
    assert!(ended.stderr.contains("1 change is made"), "{ended:#?}");
    assert_eq!(servers.configapi(["get", "a", "--linearizable"]).ends().succeeded().stdout, "1");
}

#[test]
fn a_damaged_snapshot_shows_in_the_exit_code_though_nobody_reads_of_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let snapshots = directory.path().join("snapshots");
    let path = snapshots.to_str().unwrap();
    let keeps = ["--snapshot-dir", path, "--snapshot-events", "1", "--snapshot-interval", "100ms"];
    let serving = Serving::start_with(&store, &keeps);
    serving.configapi(["set", "e", "1"]).ends().succeeded();
    let inspect = || configapi(["snapshot", "inspect", path, "-o", "raw"]);
    while !inspect().ends().stdout.contains("\t8\t") {}
    drop(serving);
    inspect().nobody_reads_stdout().ends().succeeded();
    let found = inspect().ends().succeeded().stdout;
    let newest = found.lines().find(|line| line.contains("\t8\t")).unwrap();
    let newest = newest.split('\t').next().unwrap();
    // Half of it, under the name of an older one: there is a whole one beside it.
    let bytes = std::fs::read(newest).unwrap();
    let name = std::path::Path::new(newest).file_name().unwrap().to_str().unwrap();
    let damaged = snapshots.join(name.replace('8', "9"));
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let ended = inspect().nobody_reads_stdout().ends().failed_with(1);
    assert!(ended.stderr.contains(damaged.to_str().unwrap()), "{ended:#?}");
}
