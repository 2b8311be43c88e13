//! Files that are named to be written, and must not be: those of a store.

use std::fs;
use std::path::Path;

use crate::support::stored::{tamper, written};
use crate::support::{Servers, configapi};

/// What lies in a directory, by name.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        (path.display().to_string(), fs::read(&path).unwrap_or_default())
    };
    // What readers of a database share is made and left by reading alone, an empty log with it.
    let is_left = |(name, bytes): &(String, Vec<u8>)| {
        name.ends_with("-shm") || name.ends_with("-wal") && bytes.is_empty()
    };
    let mut contents: Vec<_> = entries.map(read).filter(|entry| !is_left(entry)).collect();
    contents.sort();
    contents
}

#[test]
fn nothing_is_written_over_the_files_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    std::os::unix::fs::symlink("log.db", directory.path().join("link")).unwrap();
    std::os::unix::fs::symlink("log.db-journal", directory.path().join("later")).unwrap();
    let before = contents(directory.path());
    for name in ["log.db", "log.db-wal", "log.db-shm", "log.db-journal", "link", "later"] {
        let target = directory.path().join(name).display().to_string();
        let (checkpoint, audit) = (format!("{}/none/c", directory.path().display()), "audit");
        for arguments in [
            &["backup", &target][..],
            &[audit, "--once", "--checkpoint", &checkpoint, "--file", &target],
            &[audit, "--once", "--checkpoint", &target],
        ] {
            let command = configapi(arguments.iter().copied()).arg("--store").arg(&store);
            let ended = command.ends().failed_with(1);
            assert!(ended.stderr.contains("a file of the store itself"), "{name}: {ended:#?}");
        }
    }
    assert!(contents(directory.path()) == before, "something was written");
    // Also where it is named from beside it.
    let command = configapi(["backup", "--store", "sqlite:log.db", "./log.db"]);
    let ended = command.in_directory(directory.path()).ends().failed_with(1);
    assert!(ended.stderr.contains("a file of the store itself"), "{ended:#?}");
}

#[test]
fn nothing_is_written_over_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let other = tempfile::tempdir().unwrap();
    tamper(&written(other.path()), "DELETE FROM events WHERE position = 7");
    fs::write(other.path().join("x-wal"), b"\x37\x7f\x06\x82 and more").unwrap();
    let servers = Servers::start();
    let before = contents(other.path());
    for name in ["log.db", "x-wal"] {
        let target = other.path().join(name).display().to_string();
        let checkpoint = directory.path().join("checkpoint").display().to_string();
        for arguments in [
            &["backup", "--store", &store, &target][..],
            &["audit", "--once", "--store", &store, "--checkpoint", &checkpoint, "--file", &target],
            &["export", "--file", &target],
        ] {
            let ended = servers.configapi(arguments.iter().copied()).ends().failed_with(1);
            assert!(ended.stderr.contains("it is a database"), "{name}: {ended:#?}");
        }
    }
    assert!(contents(other.path()) == before, "something was written");
}
