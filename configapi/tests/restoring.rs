//! Backups that are restored: whole, however many events they hold, and above the epochs that are known.

use std::path::Path;

use crate::operating::on_store;
use crate::support::stored::written;
use crate::support::{Serving, configapi};

/// A backup of a store, in a file of this name.
fn backed_up(store: &str, directory: &Path, name: &str) -> String {
    let file = directory.join(name).to_str().unwrap().to_owned();
    configapi(["backup", "--store", store, &file]).ends().succeeded();
    file
}

/// It is appended in parts, and one of them would end within a command.
#[test]
fn a_log_of_many_events_is_restored_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let serving = Serving::start(&store);
    for round in 0..3 {
        let set: Vec<_> =
            (0..1_000).map(|name| format!("- {{set: r{round}/c{name}, value: \"1\"}}\n")).collect();
        serving.configapi(["apply", "-"]).stdin(set.concat()).ends().succeeded();
    }
    drop(serving);
    let backup = &backed_up(&store, directory.path(), "backup.jsonl");
    let restored = format!("sqlite:{}", directory.path().join("restored.db").display());
    on_store("restore-backup", &restored, &[backup]).succeeded();
    let verified = on_store("verify", &restored, &[]).succeeded().json();
    assert_eq!(verified["head_position"], 3_007);
    assert_eq!(verified["head_hash"], on_store("verify", &store, &[]).json()["head_hash"]);
}

/// Otherwise tokens of the first one would mean something else in the second.
#[test]
fn a_second_restore_of_a_backup_gets_an_epoch_above_the_first_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let backup = &backed_up(&store, directory.path(), "backup.jsonl");
    let second = format!("sqlite:{}", directory.path().join("second.db").display());
    let above = on_store("restore-backup", &second, &[backup, "--above", "20000"]).succeeded();
    assert_eq!(above.json()["epoch"], 20_001);
    on_store("verify", &second, &[]).succeeded();
    let again = &backed_up(&second, directory.path(), "again.jsonl");
    let third = format!("sqlite:{}", directory.path().join("third.db").display());
    let restored = on_store("restore-backup", &third, &[again]).succeeded().json();
    assert_eq!(restored["epoch"], 20_002);
    let fourth = format!("sqlite:{}", directory.path().join("fourth.db").display());
    // A number more than every store can count to.
    for last in [u64::MAX, i64::MAX.unsigned_abs()] {
        let more = [backup, "--above", &last.to_string()];
        let ended = on_store("restore-backup", &fourth, &more).failed_with(1);
        assert!(ended.stderr.contains(&format!("there is no epoch above {last}")), "{ended:#?}");
    }
    assert!(!directory.path().join("fourth.db").exists());
}
