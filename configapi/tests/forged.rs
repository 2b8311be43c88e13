//! Backups that somebody made by hand: the hashes and the checksum are right, and still they are of
//! no log.

use std::path::Path;

use configapi_event_log::domain::{Position, Timestamp, Version};
use configapi_event_log::{CommandPart, Hash, StoredEvent, seal};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::stored::{interrupt, tamper, written};
use crate::support::{Ended, configapi};

/// The lines of a backup: its header, genesis, seven events. The fifth and the sixth are one Apply.
pub fn backed_up(directory: &Path) -> Vec<Value> {
    let store = written(directory);
    let backup = configapi(["backup", "--store", &store, "-"]).ends().succeeded().stdout;
    let mut lines: Vec<_> =
        backup.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    assert_eq!(lines.pop().unwrap()["rows"], 8);
    lines
}

/// Chains the rows anew, and lets the header name the last one.
pub fn chain(lines: &mut [Value]) {
    let mut last = Hash::ZERO;
    for line in &mut lines[1..] {
        let number = |member: &str| line[member].as_u64().unwrap();
        let text = |member: &str| line[member].as_str().unwrap();
        let part = |member| u32::try_from(number(member)).unwrap();
        let mut row = StoredEvent {
            position: Position(number("position")),
            version: Version(number("version")),
            recorded_at: Timestamp(line["recorded_at"].as_i64().unwrap()),
            part: CommandPart { index: part("part_index"), size: part("part_size") },
            stream: text("stream").into(),
            event_type: text("event_type").to_owned().into(),
            schema_version: part("schema_version"),
            request_id: line["request_id"].as_str().map(Into::into),
            payload: text("payload").into(),
            metadata: text("metadata").into(),
            hash: Hash::ZERO,
        };
        seal(last, &mut row);
        last = row.hash;
        line["hash"] = json!(last.to_string());
    }
    lines[0]["head_position"] = json!(lines.len() - 2);
    lines[0]["head_hash"] = json!(last.to_string());
}

/// Restores these lines, under a checksum that fits; answers whether a store was made too.
fn restore(lines: &[Value], directory: &Path) -> (Ended, bool) {
    let other = directory.join("other.db");
    let ended = restore_to(&format!("sqlite:{}", other.display()), lines);
    (ended, other.exists())
}

/// Restores these lines, under a checksum that fits.
pub fn restore_to(store: &str, lines: &[Value]) -> Ended {
    configapi(["restore-backup", "--store", store, "-"]).stdin(form_of(lines)).ends()
}

/// These lines and a checksum that fits.
fn form_of(lines: &[Value]) -> String {
    let text: String = lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect();
    let digest = Hash(Sha256::digest(&text).into());
    let end = json!({"rows": lines.len() - 1, "sha256": digest.to_string()});
    format!("{text}{end}\n")
}

#[test]
fn a_backup_with_epochs_that_no_log_goes_through_is_refused_before_anything_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = backed_up(directory.path());
    for epochs in [
        json!([]),
        json!([[2, 1]]),
        json!([[1, 2]]),
        json!([[1, 1], [1, 4]]),
        json!([[1, 1], [3, 4], [2, 5]]),
        json!([[1, 1], [2, 0]]),
        json!([[1, 1], [2, 9]]),
        json!([[1, 1], [2, 1_u64 << 63], [3, 8]]),
    ] {
        lines[0]["epochs"] = epochs.clone();
        let (ended, is_made) = restore(&lines, directory.path());
        let ended = ended.failed_with(1);
        let why = "line 1: names epochs that no log goes through";
        assert!(ended.stderr.contains(why), "{epochs}: {ended:#?}");
        assert!(!is_made, "{epochs}");
    }
    // An epoch that was lost with its tail began beyond the end.
    lines[0]["epochs"] = json!([[1, 1], [2, 90], [4, 8]]);
    restore(&lines, directory.path()).0.succeeded();
}

type Change = fn(&mut Vec<Value>);

/// Rows that are chained anew, under a checksum that fits, are told of, and nothing is made of them.
#[track_caller]
fn assert_refused(change: Change, told: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = backed_up(directory.path());
    change(&mut lines);
    chain(&mut lines);
    let (ended, is_made) = restore(&lines, directory.path());
    let ended = ended.failed_with(1);
    assert!(ended.stderr.contains(told), "{told}: {ended:#?}");
    assert!(!is_made, "{told}");
}

#[test]
fn a_backup_whose_commands_are_torn_is_refused_before_anything_is_made() {
    let is_torn = "the parts of a command must be whole and in order";
    let cases: [(Change, u64, &str, u64); 6] = [
        (|lines| lines[6]["part_size"] = json!(1), 8, is_torn, 6),
        (|lines| lines[6]["part_size"] = json!(3), 8, is_torn, 6),
        (|lines| lines[7]["part_index"] = json!(0), 8, is_torn, 6),
        (|lines| lines.truncate(7), 8, "the log ends within a command", 5),
        (
            |lines| lines[7]["request_id"] = json!("r2"),
            8,
            "only a command's first event bears the request id",
            6,
        ),
        (
            |lines| lines[4]["version"] = json!(0),
            5,
            "a version or a length is not what a row may hold",
            3,
        ),
    ];
    for (change, line, why, position) in cases {
        assert_refused(change, &format!("line {line}: {why} (at position {position})"));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut lines = backed_up(directory.path());
    let before = lines.clone();
    chain(&mut lines);
    assert_eq!(lines, before, "rows that were not changed have the hashes that they had");
    restore(&lines, directory.path()).0.succeeded();
}

#[test]
fn a_backup_whose_rows_do_not_follow_each_other_is_refused_before_anything_is_made() {
    fn earlier_than_before(lines: &mut [Value], line: usize) {
        lines[line]["recorded_at"] = json!(lines[line - 1]["recorded_at"].as_i64().unwrap() - 1);
    }
    let cases: [(Change, u64); 3] = [
        (|lines| drop(lines.remove(4)), 5),
        (|lines| earlier_than_before(lines, 2), 3),
        (|lines| earlier_than_before(lines, 5), 6),
    ];
    for (change, line) in cases {
        assert_refused(change, &format!("line {line}: is not the row that must come next"));
    }
}

/// Whoever can count a checksum can edit a value; the chain is what tells.
#[test]
fn a_backup_with_an_edited_row_is_refused_under_a_checksum_that_fits() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = backed_up(directory.path());
    let payload = lines[4]["payload"].as_str().unwrap();
    lines[4]["payload"] = json!(payload.replace("\"3\"", "\"4\""));
    assert_ne!(lines, backed_up(directory.path()), "nothing was edited");
    let (ended, is_made) = restore(&lines, directory.path());
    let ended = ended.failed_with(1);
    assert!(ended.stderr.contains("line 5: the hash chain breaks"), "{ended:#?}");
    assert!(!is_made);
}

fn resume(store: &str, lines: &[Value]) -> Ended {
    let restore = configapi(["restore-backup", "--store", store, "--resume", "-"]);
    restore.stdin(form_of(lines)).ends()
}

#[test]
fn a_restore_is_gone_on_with_by_its_own_backup_alone() {
    let directory = tempfile::tempdir().unwrap();
    let lines = backed_up(directory.path());
    // Of the same log, and as long.
    let mut other = lines.clone();
    let payload = other[3]["payload"].as_str().unwrap().replace("two", "too");
    other[3]["payload"] = json!(payload);
    chain(&mut other);
    assert_ne!(lines, other);
    let store = format!("sqlite:{}", directory.path().join("other.db").display());
    let is_refused = |lines: &[Value]| {
        let ended = resume(&store, lines).failed_with(1);
        assert!(ended.stderr.contains("holds another log than the backup"), "{ended:#?}");
    };
    restore_to(&store, &lines).succeeded();
    is_refused(&other);
    interrupt(&store);
    is_refused(&other);
    resume(&store, &lines).succeeded();
    // An epoch that began since changes nothing of that, but for one that gave up what is missing.
    let begin_epoch = ["begin-epoch", "--store", &store, "--yes"];
    configapi(begin_epoch).ends().succeeded();
    let again = resume(&store, &lines).succeeded();
    assert!(again.stderr.contains("restored already, in epoch 3"), "{again:#?}");
    interrupt(&store);
    configapi(begin_epoch).ends().succeeded();
    is_refused(&lines);
}

/// Nothing but the checksum tells that of the header.
#[test]
fn a_backup_with_a_checksum_that_does_not_fit_is_refused_before_anything_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let lines = backed_up(directory.path());
    let mut edited = lines.clone();
    edited[0]["epochs"] = json!([[1, 1], [2, 4]]);
    let whole = form_of(&lines);
    let (rows, end) = whole.trim_end().rsplit_once('\n').unwrap();
    let rows = rows.replacen(&lines[0].to_string(), &edited[0].to_string(), 1);
    let other = directory.path().join("other.db");
    let store = format!("sqlite:{}", other.display());
    let restore = configapi(["restore-backup", "--store", &store, "-"]);
    let ended = restore.stdin(format!("{rows}\n{end}\n")).ends().failed_with(1);
    assert!(ended.stderr.contains("line 10: the checksum does not fit"), "{ended:#?}");
    assert!(!other.exists());
}

#[test]
fn a_backup_is_not_restored_into_what_does_not_last() {
    let directory = tempfile::tempdir().unwrap();
    let ended = restore_to("memory:", &backed_up(directory.path())).failed_with(2);
    assert!(ended.stderr.contains("name a store that lasts"), "{ended:#?}");
}

#[test]
fn a_backup_that_is_not_what_its_header_says_is_refused_before_anything_is_made() {
    let no_header = "line 1: is not the header of a backup that this program reads";
    for (member, forged, why) in [
        ("form", json!("another"), no_header),
        ("version", json!(2), no_header),
        (
            "log_id",
            json!("01900000-0000-7000-8000-000000000000"),
            "line 2: begins another log than the header says",
        ),
        (
            "head_hash",
            json!("00".repeat(32)),
            "line 10: the last row is not the head that the header names",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut lines = backed_up(directory.path());
        lines[0][member] = forged;
        let (ended, is_made) = restore(&lines, directory.path());
        let ended = ended.failed_with(1);
        assert!(ended.stderr.contains(why), "{ended:#?}");
        assert!(!is_made, "{why}");
    }
}

/// Puts the rows from a line on into the store, as they are by now, behind everybody's back.
fn put(store: &str, lines: &[Value], from: usize) {
    for line in &lines[from..] {
        let text = |member: &str| line[member].as_str().unwrap();
        let request_id =
            line["request_id"].as_str().map_or("NULL".to_owned(), |id| format!("'{id}'"));
        tamper(
            store,
            format!(
                "UPDATE events SET request_id = {request_id}, hash = x'{}' WHERE position = {}",
                text("hash"),
                line["position"],
            ),
        );
    }
}

#[test]
fn what_no_restore_would_take_is_not_backed_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = backed_up(directory.path());
    let store = format!("sqlite:{}", directory.path().join("log.db").display());
    let file = directory.path().join("backup.jsonl");
    let refused = |why: &str| {
        let backup = ["backup", "--store", &store, file.to_str().unwrap()];
        let ended = configapi(backup).ends().failed_with(1);
        assert!(ended.stderr.contains(why), "{ended:#?}");
        assert!(!file.exists(), "{why}");
    };
    lines[7]["request_id"] = json!("r2");
    chain(&mut lines);
    put(&store, &lines, 7);
    refused("only a command's first event bears the request id (at position 6)");

    lines[7].as_object_mut().unwrap().remove("request_id");
    chain(&mut lines);
    put(&store, &lines, 7);
    tamper(&store, "UPDATE epochs SET epoch = 2");
    refused("its epochs are none that a log goes through");
    tamper(&store, "UPDATE epochs SET epoch = 1");
    configapi(["backup", "--store", &store, file.to_str().unwrap()]).ends().succeeded();
}

/// To go on would come to the same row again.
#[test]
fn what_the_store_refuses_of_a_backup_is_not_to_be_resumed() {
    for (member, forged, why) in [
        // Versions and request ids that are taken once the rows after it come.
        ("version", json!(9), "the store refuses the batch"),
        ("request_id", json!("r1"), "a request id is in the log already"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut lines = backed_up(directory.path());
        lines[4][member] = forged;
        chain(&mut lines);
        let ended = restore(&lines, directory.path()).0.failed_with(1);
        assert!(ended.stderr.contains(why), "{ended:#?}");
        assert!(!ended.stderr.contains("--resume"), "{ended:#?}");
        assert!(ended.stderr.contains("remove what was made of this one"), "{ended:#?}");
    }
}
