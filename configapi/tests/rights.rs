//! Stores in a directory where the one who runs a tool may write nothing.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::operating::on_store;
use crate::support::stored::written;
use crate::support::{Configapi, Ended, Serving, configapi, database};

/// What those may do to a directory who do not own it, and who do.
fn set(directory: &Path, mode: u32) {
    fs::set_permissions(directory, Permissions::from_mode(mode)).unwrap();
}

/// A tool on a store, run by somebody else. None if that cannot be, which is said aloud.
fn tool(arguments: &[&str], store: &str) -> Option<Ended> {
    let tool = configapi(arguments.iter().copied()).arg("--store").arg(store);
    let tool = tool.in_directory(Path::new("/")).run_by_nobody().map(Configapi::ends);
    if tool.is_none() {
        // Past the test runner's own capture, so that it is seen.
        let note =
            b"LEFT OUT: a store beside which no files may be made; nobody else may run this\n";
        let _ = std::io::stderr().write_all(note);
    }
    tool
}

#[test]
fn a_store_that_was_left_in_order_is_read_where_no_files_may_be_made() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    // A server that ends well leaves all of the log in the file.
    Serving::start(&store).ends();
    let beside = ["log.db-wal", "log.db-shm"].map(|name| directory.path().join(name));
    assert!(beside.iter().all(|file| !file.exists()), "the server left something beside the file");
    set(directory.path(), 0o555);
    let Some(verified) = tool(&["verify", "-o", "json"], &store) else {
        return set(directory.path(), 0o700);
    };
    assert_eq!(verified.succeeded().json()["events"], 7);
    let backup = tool(&["backup", "-"], &store).unwrap().succeeded().stdout;
    assert_eq!(backup.lines().count(), 10, "{backup}");
    set(directory.path(), 0o755);
    assert!(beside.iter().all(|file| !file.exists()), "a tool made something beside the file");
}

#[test]
fn a_store_that_cannot_be_read_for_a_missing_right_says_which_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    Serving::start(&store).ends();
    // Something that a server has left behind, or is about to use.
    fs::write(directory.path().join("log.db-wal"), b"").unwrap();
    set(directory.path(), 0o555);
    let Some(ended) = tool(&["verify"], &store) else { return set(directory.path(), 0o700) };
    let ended = ended.failed_with(1);
    let missing =
        format!("cannot make files in {}", directory.path().canonicalize().unwrap().display());
    for part in [&*missing, "Permission denied", "as the user whose file it is", "copy of it"] {
        assert!(ended.stderr.contains(part), "{part}: {ended:#?}");
    }
    set(directory.path(), 0o755);
}

/// Its database is as empty as can be: another one would not help.
#[test]
fn a_role_that_may_make_no_log_is_told_which_one_may() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let backup = directory.path().join("backup.jsonl");
    let backup = backup.to_str().unwrap();
    configapi(["backup", "--store", &store, backup]).ends().succeeded();
    let database = database::create();
    let with = if database.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{with}options[role]=pg_monitor", database.url);
    for (command, more) in [("migrate", &[][..]), ("restore-backup", &[backup])] {
        let ended = on_store(command, &url, more).failed_with(1);
        assert!(ended.stderr.contains("permission denied"), "{ended:#?}");
        assert!(ended.stderr.contains("a role that owns the schema `configapi`"), "{ended:#?}");
        assert!(!ended.stderr.contains("choose an empty store"), "{ended:#?}");
    }
    on_store("restore-backup", &database.url, &[backup]).succeeded();
    let ended = on_store("restore-backup", &database.url, &[backup]).failed_with(1);
    assert!(ended.stderr.contains("choose an empty store; or --resume"), "{ended:#?}");
}
