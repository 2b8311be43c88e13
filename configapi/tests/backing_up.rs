//! A backup while its log changes: it holds what was there when it began, or it fails.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::support::stored::tamper;
use crate::support::{Running, Serving, configapi};

/// So many events of this size are more than are read of a log at once.
const EVENTS: usize = 12;
const VALUE_BYTES: usize = 999_000;

/// A log that is too large to be read at once, and whoever serves it.
fn large_log(directory: &Path) -> (String, Serving) {
    let store = format!("sqlite:{}", directory.join("log.db").display());
    let serving = Serving::start(&store);
    let mut file = String::from("{");
    for n in 0..EVENTS {
        let comma = if n == 0 { "" } else { "," };
        write!(file, "{comma}\"n{n}\": \"{}\"", "v".repeat(VALUE_BYTES)).unwrap();
    }
    file.push('}');
    serving.configapi(["import", "-", "--show", "0"]).stdin(file).ends().succeeded();
    (store, serving)
}

/// A backup that has seen how far it has to go, and is not read any further yet; its first line.
fn begun(store: &str) -> (Running, String) {
    let mut backup = configapi(["backup", "--store", store, "-"]).starts();
    let line = backup.line();
    let header: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(header["head_position"], EVENTS);
    (backup, line)
}

#[test]
fn a_backup_beside_a_writer_ends_where_the_log_did_when_it_began() {
    let directory = tempfile::tempdir().unwrap();
    let (store, serving) = large_log(directory.path());
    let (backup, header) = begun(&store);
    for value in ["later", "still later"] {
        serving.configapi(["set", "n0", value]).ends().succeeded();
    }
    let ended = backup.ends().succeeded();
    let told = format!("backed up {EVENTS} events");
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    let other = format!("sqlite:{}", directory.path().join("other.db").display());
    assert!(!ended.stdout.contains("later"), "what was written later is in it");
    let restore = configapi(["restore-backup", "--store", &other, "-", "-o", "json"]);
    let restored = restore.stdin(header + "\n" + &ended.stdout).ends().succeeded().json();
    assert_eq!(restored["head_position"], EVENTS, "{restored}");
}

#[test]
fn a_backup_of_a_log_that_ends_before_its_head_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (store, serving) = large_log(directory.path());
    drop(serving);
    let (backup, _) = begun(&store);
    tamper(&store, format!("DELETE FROM events WHERE position = {EVENTS}"));
    let ended = backup.ends().failed_with(1);
    for part in ["the log ends before its head", "no backup was written"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert!(!ended.stdout.contains("sha256"), "it bears a checksum");
}

#[test]
fn a_backup_of_a_log_that_begins_an_epoch_meanwhile_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (store, serving) = large_log(directory.path());
    drop(serving);
    let (backup, _) = begun(&store);
    configapi(["begin-epoch", "--store", &store, "--yes"]).ends().succeeded();
    let ended = backup.ends().failed_with(3);
    assert!(ended.stderr.contains("the log began a new epoch meanwhile"), "{}", ended.stderr);
    assert!(!ended.stdout.contains("sha256"), "it bears a checksum");
}
