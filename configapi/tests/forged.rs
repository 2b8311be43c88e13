//! Backups that somebody made by hand: the hashes and the checksum are right, and still they are of
//! no log.

use std::path::Path;

use configapi_event_log::domain::{Position, Timestamp, Version};
use configapi_event_log::{CommandPart, Hash, StoredEvent, seal};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::stored::written;
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
    let text: String = lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect();
    let digest = Hash(Sha256::digest(&text).into());
    let end = json!({"rows": lines.len() - 1, "sha256": digest.to_string()});
    let restore = configapi(["restore-backup", "--store", store, "-"]);
    restore.stdin(format!("{text}{end}\n")).ends()
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

#[test]
fn a_backup_whose_commands_are_torn_is_refused_before_anything_is_made() {
    type Change = fn(&mut Vec<Value>);

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
        let directory = tempfile::tempdir().unwrap();
        let mut lines = backed_up(directory.path());
        change(&mut lines);
        chain(&mut lines);
        let (ended, is_made) = restore(&lines, directory.path());
        let ended = ended.failed_with(1);
        let told = format!("line {line}: {why} (at position {position})");
        assert!(ended.stderr.contains(&told), "{told}: {ended:#?}");
        assert!(!is_made, "{told}");
    }
    let directory = tempfile::tempdir().unwrap();
    let mut lines = backed_up(directory.path());
    let before = lines.clone();
    chain(&mut lines);
    assert_eq!(lines, before, "rows that were not changed have the hashes that they had");
    restore(&lines, directory.path()).0.succeeded();
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
