//! The tools of an operator, on the stores that real servers wrote.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::stored::{interrupt, tamper, written};
use crate::support::{Ended, Serving, configapi, database};

pub fn on_store<'a>(command: &'a str, store: &'a str, more: &[&'a str]) -> Ended {
    let arguments = [command, "--store", store, "-o", "json"];
    configapi(arguments.iter().chain(more).copied()).ends()
}

#[test]
fn a_log_that_nobody_edited_is_verified() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let verified = on_store("verify", &store, &[]).succeeded().json();
    assert_eq!(verified["verified"], true);
    assert_eq!((&verified["events"], &verified["head_position"]), (&7.into(), &7.into()));
    let known = verified["known"].as_str().unwrap();
    on_store("verify", &store, &["--expect", known]).succeeded();
    let part = on_store("verify", &store, &["--from", "5"]).succeeded().json();
    assert_eq!(part["events"], 2);
    let ended = on_store("verify", &store, &["--from", "8"]).failed_with(1);
    assert!(ended.stderr.contains("the log ends at position 7, before --from 8"), "{ended:#?}");
    assert!(!ended.stderr.contains("serve nothing"), "{ended:#?}");
    let other = format!("7={}", "0".repeat(64));
    let ended = on_store("verify", &store, &["--expect", &other]).failed_with(1);
    assert!(ended.stderr.contains("history was rewritten"), "{ended:#?}");
    let beyond = format!("8={}", "0".repeat(64));
    let ended = on_store("verify", &store, &["--expect", &beyond]).failed_with(1);
    assert!(ended.stderr.contains("no longer in the log"), "{ended:#?}");
}

#[test]
fn the_first_row_that_was_edited_is_named() {
    for (sql, position) in [
        ("UPDATE events SET payload = replace(payload, '3', '4') WHERE position = 3", 3),
        ("UPDATE events SET recorded_at = recorded_at - 1 WHERE position = 1", 1),
        ("UPDATE events SET metadata = '{}' WHERE position = 4", 4),
        ("DELETE FROM events WHERE position = 2", 2),
        ("UPDATE events SET payload = '{}' WHERE position = 0", 0),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = written(directory.path());
        tamper(&store, sql);
        let ended = on_store("verify", &store, &[]).failed_with(1);
        assert!(ended.stderr.contains(&format!("position {position}")), "{sql}: {ended:#?}");
        assert_eq!(ended.stdout, "");
        let backup = directory.path().join("backup.jsonl");
        let backup = backup.to_str().unwrap();
        configapi(["backup", "--store", &store, backup]).ends().failed_with(1);
        assert!(!Path::new(backup).exists(), "a backup of an edited log was kept");
    }
}

#[test]
fn a_store_that_is_not_there_is_told_without_its_password() {
    let ended = on_store("verify", "sqlite:/nowhere/log.db", &[]).failed_with(3);
    assert!(ended.stderr.contains("/nowhere/log.db"), "{ended:#?}");
    let url = "postgres://user:s3cret@127.0.0.1:1/db?password=s3cret";
    for command in ["verify", "migrate"] {
        let ended = on_store(command, url, &[]).failed_with(3);
        assert!(ended.stderr.contains("postgres://127.0.0.1:1/db"), "{ended:#?}");
        assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
        let ended = on_store(command, "mysql://user:s3cret@host/db", &[]).failed_with(2);
        assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
        on_store(command, "memory:", &[]).failed_with(2);
    }
}

#[test]
fn migrate_makes_a_log_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", directory.path().join("deep/log.db").display());
    let made = on_store("migrate", &store, &[]).succeeded().json();
    assert_eq!(on_store("migrate", &store, &[]).succeeded().json(), made);
    assert_eq!(on_store("verify", &store, &[]).succeeded().json()["log_id"], made["log_id"]);
}

/// What a server on this store holds.
fn state_of(store: &str) -> Value {
    let serving = Serving::start(store);
    serving.configapi(["status", "--state-hash", "-o", "json"]).ends().succeeded().json()
}

/// Backs up, restores, and checks that it is the same log in its next epoch.
fn move_to(from: &str, to: &str, directory: &Path) {
    let backup = directory.join("backup.jsonl");
    let backup = backup.to_str().unwrap();
    configapi(["backup", "--store", from, backup]).ends().succeeded();
    let before = on_store("verify", from, &[]).succeeded().json();
    let restored = on_store("restore-backup", to, &[backup]).succeeded().json();
    let after = on_store("verify", to, &[]).succeeded().json();
    for same in ["log_id", "events", "head_position", "head_hash", "head_recorded_at"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert!(after["epoch"].as_u64() > before["epoch"].as_u64(), "{before} {after}");
    assert_eq!(restored["epoch"], after["epoch"]);
    assert_eq!(state_of(from)["state_hash"], state_of(to)["state_hash"]);
}

#[test]
fn a_backup_is_restored_as_the_same_log_and_the_lost_tail_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let other = format!("sqlite:{}", directory.path().join("other.db").display());
    move_to(&store, &other, directory.path());
    // What only the old log has must not be taken for what the new one has at its place.
    let lost = {
        let serving = Serving::start(&store);
        serving.configapi(["set", "late", "1", "-o", "raw"]).ends().succeeded().stdout
    };
    let serving = Serving::start(&other);
    serving.configapi(["set", "late", "2"]).ends().succeeded();
    let read = |token: &str| serving.configapi(["get", "b", "--token", token]).ends();
    assert!(read(lost.trim()).failed_with(3).stderr.contains("LOG_CHANGED"));
    read("1-7").succeeded();
    let repeat = serving.configapi(["set", "d", "", "--request-id", "r1", "-o", "json"]).ends();
    assert_eq!(repeat.succeeded().json()["position"], 7);
}

#[test]
fn a_backup_is_only_restored_into_an_empty_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let backup = directory.path().join("backup.jsonl");
    let backup = backup.to_str().unwrap();
    configapi(["backup", "--store", &store, backup]).ends().succeeded();
    let ended = on_store("restore-backup", &store, &[backup]).failed_with(1);
    assert!(ended.stderr.contains("holds a log already"), "{ended:#?}");
    let other = format!("sqlite:{}", directory.path().join("other.db").display());
    on_store("migrate", &other, &[]).succeeded();
    on_store("restore-backup", &other, &[backup]).failed_with(1);
    on_store("restore-backup", &other, &[backup, "--resume"]).failed_with(1);
    assert_eq!(on_store("verify", &other, &[]).succeeded().json()["head_position"], 0);
}

#[test]
fn a_pipe_with_a_name_gets_the_whole_backup_and_stays_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut cat = Command::new("cat");
    let cat = cat.arg(&pipe).stdout(Stdio::piped()).spawn().unwrap();
    configapi(["backup", "--store", &store, pipe.to_str().unwrap()]).ends().succeeded();
    let read = String::from_utf8(cat.wait_with_output().unwrap().stdout).unwrap();
    let backup = configapi(["backup", "--store", &store, "-"]).ends().succeeded().stdout;
    assert_eq!(read, backup);
    let still = std::fs::symlink_metadata(&pipe).unwrap().file_type();
    assert!(!still.is_file() && !still.is_symlink(), "{still:?}");
    // It is read from one as well.
    let restored = format!("sqlite:{}", directory.path().join("restored.db").display());
    let file = directory.path().join("backup.jsonl");
    std::fs::write(&file, &backup).unwrap();
    let (from, to) = (file.display(), pipe.display());
    let mut feed = Command::new("sh");
    let mut feed = feed.arg("-c").arg(format!("cat {from} > {to}")).spawn().unwrap();
    on_store("restore-backup", &restored, &[pipe.to_str().unwrap()]).succeeded();
    assert!(feed.wait().unwrap().success());
}

#[test]
fn what_links_name_is_replaced_and_the_links_stay() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let below = directory.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let links = ["there", "not-yet"].map(|name| {
        let link = directory.path().join(name);
        std::os::unix::fs::symlink(Path::new("below").join(name), &link).unwrap();
        link
    });
    std::fs::write(below.join("there"), "before").unwrap();
    let backup = configapi(["backup", "--store", &store, "-"]).ends().succeeded().stdout;
    for link in links {
        configapi(["backup", "--store", &store, link.to_str().unwrap()]).ends().succeeded();
        assert!(link.is_symlink(), "{}", link.display());
        let target = below.join(link.file_name().unwrap());
        assert_eq!(std::fs::read_to_string(target).unwrap(), backup);
    }
    assert_eq!(std::fs::read_dir(below).unwrap().count(), 2);
}

#[test]
fn a_backup_whose_reader_goes_away_has_failed() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    {
        let serving = Serving::start(&store);
        let large = "x".repeat(500_000);
        serving.configapi(["set", "large", "-"]).stdin(large).ends().succeeded();
    }
    let ended = configapi(["backup", "--store", &store, "-"]).starts().closes_stdout_and_ends();
    let ended = ended.failed_with(3);
    assert!(ended.stderr.contains("whoever read the backup has gone"), "{ended:#?}");
}

#[test]
fn a_restore_reads_what_is_piped_in_and_resumes_what_was_never_begun() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let backup = configapi(["backup", "--store", &store, "-"]).ends().succeeded().stdout;
    for more in [&[][..], &["--resume"]] {
        let other = directory.path().join(format!("other{}.db", more.len()));
        let other = format!("sqlite:{}", other.display());
        let arguments = ["restore-backup", "--store", &other, "-"];
        let restore = configapi(arguments.into_iter().chain(more.iter().copied()));
        restore.stdin(backup.clone()).ends().succeeded();
        assert_eq!(on_store("verify", &other, &[]).succeeded().json()["head_position"], 7);
    }
}

#[test]
fn a_hash_that_would_not_be_looked_at_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let wrong = format!("3={}", "0".repeat(64));
    let ended = on_store("verify", &store, &["--from", "4", "--expect", &wrong]).failed_with(2);
    assert!(ended.stderr.contains("--expect 3=… is before --from 4"), "{ended:#?}");
    let ended = on_store("verify", &store, &["--from", "3", "--expect", &wrong]).failed_with(1);
    assert!(ended.stderr.contains("history was rewritten"), "{ended:#?}");
}

#[test]
fn events_are_counted_up_to_the_head_that_is_named_while_servers_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let serving = Serving::start(&store);
    let configs: Vec<_> = (0..50_000).map(|n| format!("n{n}=1")).collect();
    let mut import =
        serving.configapi(["import", "-", "-F", "env"]).stdin(configs.join("\n")).starts();
    let mut heads = BTreeSet::new();
    while import.child.try_wait().unwrap().is_none() {
        let verified = on_store("verify", &store, &[]).succeeded().json();
        assert_eq!(verified["events"], verified["head_position"]);
        heads.insert(verified["head_position"].as_u64());
    }
    assert!(heads.len() > 2, "nothing was written meanwhile: {heads:?}");
    import.ends().succeeded();
}

#[test]
fn a_store_that_is_typed_where_none_belongs_is_not_repeated() {
    let url = "postgres://user:s3cret@host/db";
    for arguments in [["verify", url], ["serve", url], ["migrate", url]] {
        let ended = configapi(arguments).ends().failed_with(2);
        assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
    }
}

#[test]
fn a_restore_that_was_interrupted_is_refused_until_it_went_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let backup = directory.path().join("backup.jsonl");
    let backup = backup.to_str().unwrap();
    configapi(["backup", "--store", &store, backup]).ends().succeeded();
    let partial = format!("sqlite:{}", directory.path().join("partial.db").display());
    on_store("restore-backup", &partial, &[backup]).succeeded();
    interrupt(&partial);
    for command in [&["verify", "--store", &partial][..], &["backup", "--store", &partial, "-"]] {
        let ended = configapi(command.iter().copied()).ends().failed_with(1);
        assert!(ended.stderr.contains("begin-epoch"), "{ended:#?}");
    }
    Serving::start(&store).configapi(["set", "late", "1"]).ends().succeeded();
    let later = directory.path().join("later.jsonl");
    let later = later.to_str().unwrap();
    configapi(["backup", "--store", &store, later]).ends().succeeded();
    for (backup, above, why) in [
        (later, "0", "another backup of this log, which ends at position 7; this one ends at 8"),
        (backup, "5", "the restore has begun epoch 2 already"),
        (backup, "2", "the restore has begun epoch 2 already"),
    ] {
        let more = [backup, "--resume", "--above", above];
        let ended = on_store("restore-backup", &partial, &more).failed_with(1);
        assert!(ended.stderr.contains(why), "{ended:#?}");
    }
    let restored = on_store("restore-backup", &partial, &[backup, "--resume"]).succeeded().json();
    assert_eq!((&restored["head_position"], &restored["epoch"]), (&7.into(), &2.into()));
    on_store("verify", &partial, &[]).succeeded();
    let again = on_store("restore-backup", &partial, &[backup, "--resume"]).succeeded();
    assert!(again.stderr.contains("restored already, in epoch 2"), "{again:#?}");
    assert_eq!(again.json(), restored);
    // Once anything was written since it is no longer what the backup holds.
    Serving::start(&partial).configapi(["set", "new", "1"]).ends().succeeded();
    let again = on_store("restore-backup", &partial, &[backup, "--resume"]).failed_with(1);
    assert!(again.stderr.contains("and the log went on by 1"), "{again:#?}");
    // Another log, though of the same id.
    on_store("restore-backup", &store, &[backup, "--resume"]).failed_with(1);
}

#[test]
fn a_backup_that_was_damaged_is_refused_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let backup = configapi(["backup", "--store", &store, "-"]).ends().succeeded().stdout;
    let lines: Vec<_> = backup.lines().collect();
    assert_eq!(lines.len(), 10);
    let without = |skipped: usize| {
        let kept = lines.iter().enumerate().filter(|(index, _)| *index != skipped);
        kept.flat_map(|(_, line)| [*line, "\n"]).collect::<String>()
    };
    let mut damaged = vec![
        String::new(),
        backup[..backup.len() / 2].to_owned(),
        backup.trim_end().to_owned(),
        backup.replace("two", "owt"),
        backup.replace("configapi-backup", "another-file"),
        backup.replace("\"version\":1,\"log_id\"", "\"version\":2,\"log_id\""),
        format!("{backup}{{}}\n"),
        backup.replace("\"rows\":8", "\"rows\":9"),
    ];
    damaged.extend((0..lines.len()).map(without));
    let file = directory.path().join("damaged.jsonl");
    let other = format!("sqlite:{}", directory.path().join("other.db").display());
    for text in damaged {
        std::fs::write(&file, &text).unwrap();
        let ended = on_store("restore-backup", &other, &[file.to_str().unwrap()]).failed_with(1);
        assert!(!ended.stderr.contains("two") && !ended.stderr.contains("owt"), "{ended:#?}");
        assert!(!directory.path().join("other.db").exists());
    }
}

#[test]
fn a_log_moves_from_sqlite_to_postgres_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let database = database::create();
    move_to(&store, &database.url, directory.path());
    let back = format!("sqlite:{}", directory.path().join("back.db").display());
    move_to(&database.url, &back, directory.path());
}

#[test]
fn snapshots_are_inspected_and_damage_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let snapshots = directory.path().join("snapshots");
    let path = snapshots.to_str().unwrap();
    let serving = Serving::start_with(
        &store,
        &["--snapshot-dir", path, "--snapshot-events", "1", "--snapshot-interval", "100ms"],
    );
    serving.configapi(["set", "e", "1"]).ends().succeeded();
    let inspect = || configapi(["snapshot", "inspect", path, "-o", "json"]).ends();
    let holds_all = |snapshot: &Value| snapshot["position"] == 8;
    while !inspect().json().as_array().unwrap().iter().any(holds_all) {}
    drop(serving);
    // As a server leaves it that is killed while it writes one.
    std::fs::write(snapshots.join("unfinished.tmp"), "half of a snapshot").unwrap();
    let found = inspect().succeeded().json();
    let newest = found.as_array().unwrap().iter().find(|it| holds_all(it)).unwrap();
    assert_eq!((&newest["configs"], &newest["events"]), (&5.into(), &8.into()));
    let file = newest["file"].as_str().unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
    let ended = inspect().failed_with(1);
    assert!(ended.stderr.contains(file), "{ended:#?}");
}
