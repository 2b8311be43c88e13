//! `begin-epoch`: a log that was restored by hand, and its readers.

use std::path::Path;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::operating::on_store;
use crate::support::stored::{tamper, written};
use crate::support::{Serving, configapi, database};

/// A copy of the log as it is now, made as the runbook says.
pub fn copy_of(store: &str, directory: &Path) -> String {
    let copy = directory.join("copy.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(store.strip_prefix("sqlite:").unwrap());
        let mut connection = options.connect().await.unwrap();
        let copy = copy.to_str().unwrap();
        sqlx::query("VACUUM INTO ?").bind(copy).execute(&mut connection).await.unwrap();
    });
    format!("sqlite:{}", copy.display())
}

/// What a server is told that keeps a snapshot of each event.
pub fn keeps(snapshots: &Path) -> [&str; 6] {
    let directory = snapshots.to_str().unwrap();
    ["--snapshot-dir", directory, "--snapshot-events", "1", "--snapshot-interval", "100ms"]
}

/// Writes an event that no copy has, and waits until a snapshot has it; answers its token.
fn write_what_is_lost(store: &str, snapshots: &Path) -> String {
    let serving = Serving::start_with(store, &keeps(snapshots));
    let lost = serving.configapi(["set", "late", "lost", "-o", "raw"]).ends().succeeded();
    let inspect = ["snapshot", "inspect", snapshots.to_str().unwrap(), "-o", "raw"];
    while !configapi(inspect).ends().stdout.contains("\t8\t") {}
    lost.stdout.trim().to_owned()
}

#[test]
fn after_a_restore_by_hand_tokens_of_the_lost_tail_are_refused_and_the_others_hold() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let copy = copy_of(&store, directory.path());
    let snapshots = directory.path().join("snapshots");
    let keeps = keeps(&snapshots);
    let lost = write_what_is_lost(&store, &snapshots);
    assert_eq!(lost, "1-8");

    let begun = on_store("begin-epoch", &copy, &["--yes"]).succeeded().json();
    let told = [&begun["old_epoch"], &begun["new_epoch"], &begun["first_position"]];
    assert_eq!(told, [1, 2, 8]);
    assert_eq!(begun["log_id"], on_store("verify", &store, &[]).succeeded().json()["log_id"]);
    let verified = on_store("verify", &copy, &[]).succeeded().json();
    assert_eq!((&verified["epoch"], &verified["head_position"]), (&2.into(), &7.into()));

    let serving = Serving::start_with(&copy, &keeps);
    let token = serving.configapi(["set", "late", "new", "-o", "raw"]).ends().succeeded().stdout;
    assert_eq!(token.trim(), "2-8");
    let read = |token: &str| serving.configapi(["get", "late", "--token", token]).ends();
    assert!(read(&lost).failed_with(3).stderr.contains("LOG_CHANGED"));
    for holds in ["1-7", "2-8"] {
        serving.configapi(["get", "b", "--token", holds]).ends().succeeded();
    }
    assert_eq!(read("2-8").succeeded().stdout, "new");
    let history = serving.configapi(["history", "late", "-o", "json"]).ends().succeeded();
    assert!(!history.stdout.contains("lost"), "{history:#?}");
    let watch = ["watch", "--from", &lost, "--output", "json"];
    assert!(serving.configapi(watch).ends().failed_with(3).stderr.contains("LOG_CHANGED"));
}

/// Its snapshots are all that knows of the tail: what is written would give its positions another
/// meaning, and no epoch could say so any more.
#[test]
fn what_a_snapshot_proves_to_be_lost_is_not_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let copy = copy_of(&store, directory.path());
    let snapshots = directory.path().join("snapshots");
    let keeps = keeps(&snapshots);
    write_what_is_lost(&store, &snapshots);
    let serving = Serving::start_on(&copy, &keeps, &[]);
    serving.log_with("no new epoch says so");
    let ended = serving.configapi(["set", "late", "new"]).ends().failed_with(3);
    assert!(ended.stderr.contains("LOG_CHANGED"), "{ended:#?}");
    assert!(ended.stderr.contains("the event at position 8, and no new epoch"), "{ended:#?}");
    assert_eq!(serving.ends(), Some(0));
    assert_eq!(on_store("verify", &copy, &[]).succeeded().json()["head_position"], 7);

    on_store("begin-epoch", &copy, &["--yes"]).succeeded();
    let serving = Serving::start_with(&copy, &keeps);
    let token = serving.configapi(["set", "late", "new", "-o", "raw"]).ends().succeeded().stdout;
    assert_eq!(token.trim(), "2-8");
}

#[test]
fn an_edited_log_is_neither_read_nor_written_by_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    tamper(&store, "UPDATE events SET payload = replace(payload, '1', '2') WHERE position = 1");
    let serving = Serving::start_on(&store, &[], &[]);
    serving.log_with("the hash chain breaks");
    let ended = serving.configapi(["set", "a", "new"]).ends().failed_with(3);
    assert!(ended.stderr.contains("LOG_CHANGED"), "{ended:#?}");
    assert!(ended.stderr.contains("the hash chain breaks"), "{ended:#?}");
}

#[test]
fn each_run_begins_an_epoch_and_says_which() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    for (more, old, new) in
        [(&[][..], 1, 2), (&[], 2, 3), (&["--above", "1"], 3, 4), (&["--above", "8"], 4, 9)]
    {
        let more = [&["--yes"], more].concat();
        let begun = on_store("begin-epoch", &store, &more).succeeded().json();
        assert_eq!((&begun["old_epoch"], &begun["new_epoch"]), (&old.into(), &new.into()));
        assert_eq!((&begun["head_position"], &begun["first_position"]), (&7.into(), &8.into()));
    }
}

#[test]
fn no_epoch_begins_where_nobody_said_yes_or_no_log_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let ended = on_store("begin-epoch", &store, &[]).failed_with(2);
    assert!(ended.stderr.contains("--yes"), "{ended:#?}");
    on_store("begin-epoch", &store, &["--yes", "--above", "1000000"]).failed_with(2);
    assert_eq!(on_store("verify", &store, &[]).succeeded().json()["epoch"], 1);
    on_store("begin-epoch", "memory:", &["--yes"]).failed_with(2);
    let nowhere = directory.path().join("nowhere.db");
    let missing = format!("sqlite:{}", nowhere.display());
    on_store("begin-epoch", &missing, &["--yes"]).failed_with(3);
    assert!(!nowhere.exists(), "a log was made");
}

#[test]
fn who_sits_at_a_terminal_is_asked_before_an_epoch_begins() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let asked = |answer| configapi(["begin-epoch", "--store", &store]).typed(answer).ends();
    for answer in ["no\n", "\n", "yesterday\n", "\u{4}"] {
        let ended = asked(answer).failed_with(1);
        assert!(ended.stderr.contains("which ends at position 7 in epoch 1"), "{ended:#?}");
        assert!(ended.stderr.contains("nothing was done"), "{ended:#?}");
        assert_eq!(on_store("verify", &store, &[]).succeeded().json()["epoch"], 1);
    }
    asked("yes\n").succeeded();
    assert_eq!(on_store("verify", &store, &[]).succeeded().json()["epoch"], 2);
}

#[test]
fn no_epoch_begins_on_a_standby() {
    let database = database::create();
    database.plays_roles();
    on_store("migrate", &database.url, &[]).succeeded();
    database.stands_by(true);
    let ended = on_store("begin-epoch", &database.url, &["--yes"]).failed_with(1);
    assert!(ended.stderr.contains("is a standby"), "{ended:#?}");
    assert!(ended.stderr.contains("name the primary"), "{ended:#?}");
}

#[test]
fn an_epoch_begins_in_postgres_once_there_is_a_log() {
    let database = database::create();
    let run = || on_store("begin-epoch", &database.url, &["--yes"]);
    run().failed_with(3);
    on_store("migrate", &database.url, &[]).succeeded();
    let begun = run().succeeded().json();
    let told = [&begun["old_epoch"], &begun["new_epoch"], &begun["first_position"]];
    assert_eq!(told, [1, 2, 1]);
    assert_eq!(on_store("verify", &database.url, &[]).succeeded().json()["epoch"], 2);
}

#[test]
fn a_log_that_ends_before_its_newest_epoch_began_is_neither_read_nor_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    on_store("begin-epoch", &store, &["--yes"]).succeeded();
    tamper(&store, "DELETE FROM events WHERE position = 7");
    let ended = on_store("verify", &store, &[]).failed_with(1);
    let told = "the log ends at position 6, and its epoch 2 began after position 7";
    assert!(ended.stderr.contains(told), "{ended:#?}");

    let any = "127.0.0.1:0";
    let serve = ["serve", "--store", &store, "--command-addr", any, "--query-addr", any];
    let serving = configapi(serve).arg("--gateway-addr").arg(any).starts();
    let mut awaited = vec![
        "the log no longer holds the event at position 7, and no new epoch says so",
        "the log was restored or lost its tail under this server",
    ];
    while !awaited.is_empty() {
        let line = serving.says("");
        awaited.retain(|text| !line.contains(text));
    }
    serving.signal("TERM");
    serving.ends().succeeded();

    on_store("begin-epoch", &store, &["--yes"]).succeeded();
    let serving = Serving::start(&store);
    let token = serving.configapi(["set", "late", "new", "-o", "raw"]).ends().succeeded().stdout;
    assert_eq!(token.trim(), "3-7");
}

#[test]
fn a_log_without_its_table_of_epochs_is_no_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(store.strip_prefix("sqlite:").unwrap());
        let mut connection = options.connect().await.unwrap();
        sqlx::query("DROP TABLE epochs").execute(&mut connection).await.unwrap();
    });
    let ended = on_store("verify", &store, &[]).failed_with(1);
    assert!(ended.stderr.contains("no such table: epochs"), "{ended:#?}");
    on_store("begin-epoch", &store, &["--yes"]).failed_with(1);
}

#[test]
fn a_log_without_an_epoch_is_no_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    tamper(&store, "DELETE FROM epochs");
    let ended = on_store("verify", &store, &[]).failed_with(1);
    assert!(ended.stderr.contains("the log has no epoch"), "{ended:#?}");
}
