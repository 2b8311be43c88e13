//! The file of SQLite as an operator handles it: copies it, and misses it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::operating::on_store;
use crate::support::{Serving, configapi};

fn store(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// A copy of the file alone, without what is beside it.
fn copied(path: &Path) -> PathBuf {
    let copy = path.with_extension("copy");
    fs::copy(path, &copy).unwrap();
    copy
}

/// Where the log ends that such a copy holds.
fn head_of_the_file_alone(path: &Path) -> u64 {
    let verified = on_store("verify", &store(&copied(path)), &[]).succeeded().json();
    verified["head_position"].as_u64().unwrap()
}

#[test]
fn a_server_that_has_ended_and_what_writes_a_store_leave_all_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let [log, restored, made] =
        ["log.db", "restored.db", "made.db"].map(|name| directory.path().join(name));
    let serving = Serving::start(&store(&log));
    serving.configapi(["set", "a", "1"]).ends().succeeded();
    assert_eq!(serving.ends(), Some(0));
    assert_eq!(head_of_the_file_alone(&log), 1);

    let backup = directory.path().join("backup.jsonl");
    let backup = backup.to_str().unwrap();
    configapi(["backup", "--store", &store(&log), backup]).ends().succeeded();
    let to = ["restore-backup", "--store", &store(&restored), backup];
    configapi(to).ends().succeeded();
    assert_eq!(head_of_the_file_alone(&restored), 1);

    on_store("migrate", &store(&made), &[]).succeeded();
    assert_eq!(head_of_the_file_alone(&made), 0);
    on_store("begin-epoch", &store(&made), &["--yes"]).succeeded();
    let migrated = on_store("migrate", &store(&copied(&made)), &[]).succeeded().json();
    assert_eq!(migrated["epoch"], 2);
}

#[test]
fn a_store_that_can_be_no_file_ends_the_server_and_the_operator_with_1() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let any = "127.0.0.1:0";
    let serve = ["serve", "--store", &store, "--command-addr", any, "--query-addr", any];
    let ended = configapi(serve.into_iter().chain(["--gateway-addr", any])).ends().failed_with(1);
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("cannot start") && last.contains("is a directory"), "{ended:#?}");
    let ended = on_store("verify", &store, &[]).failed_with(1);
    assert!(ended.stderr.contains("is a directory"), "{ended:#?}");
}

/// However early: also where the file is there already and the log in it is not.
#[test]
fn a_store_whose_maker_was_killed_is_made_by_who_comes_next() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log.db");
        let mut maker = configapi(["migrate", "--store", &store(&log)]).starts();
        while !fs::metadata(&log).is_ok_and(|file| file.len() > 0) {
            std::hint::spin_loop();
        }
        maker.child.kill().unwrap();
        maker.child.wait().unwrap();
        on_store("migrate", &store(&log), &[]).succeeded();
        let here = fs::read_dir(directory.path()).unwrap();
        let here = here.map(|file| file.unwrap().file_name().into_string().unwrap());
        let of_sqlite = ["log.db-wal", "log.db-shm"];
        let here: Vec<_> = here.filter(|name| !of_sqlite.contains(&&**name)).collect();
        assert_eq!(here, ["log.db"], "something was left behind");
        on_store("verify", &store(&log), &[]).succeeded();
    }
}
