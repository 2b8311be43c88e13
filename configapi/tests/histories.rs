//! Logs whose hashes are right and whose events do not follow from the history of their configs: somebody
//! who may insert wrote them. `verify` says so, as the query servers do.

use std::path::Path;

use serde_json::{Value, json};

use crate::forged::{backed_up, chain, restore_to};
use crate::operating::on_store;
use crate::support::stored::{tamper, written};
use crate::support::{Ended, configapi, database};

/// What is changed of the event at a position: members of its row.
type Change = (usize, Value);

const SET: &str = "ConfigValueSet";
const DELETED: &str = "ConfigValueDeleted";
const RESTORED: &str = "ConfigValueRestored";

fn event(event_type: &str, payload: &Value) -> Value {
    json!({"event_type": event_type, "payload": payload.to_string()})
}

/// Makes a store of the log with this change, chained anew.
fn forge(store: &str, lines: &[Value], (position, change): &Change) {
    let mut lines = lines.to_owned();
    // The header and genesis come before.
    let row = lines[position + 1].as_object_mut().unwrap();
    row.extend(change.as_object().unwrap().clone());
    row.retain(|_, member| !member.is_null());
    chain(&mut lines);
    restore_to(store, &lines).succeeded();
}

fn sqlite(directory: &Path, name: &str) -> String {
    format!("sqlite:{}", directory.join(name).display())
}

#[track_caller]
fn is_refused(ended: Ended, position: usize, why: &str) {
    let ended = ended.failed_with(1);
    let told =
        format!("the event at position {position} does not follow from the history of its config");
    assert!(ended.stderr.contains(&format!("{told}: {why}")), "{why}: {ended:#?}");
    assert!(ended.stderr.contains("docs/runbook.md"), "{ended:#?}");
    assert_eq!(ended.stdout, "");
}

/// 1 `a` is set to "1", 2 `b`, 3 `a` to "3", 4 `a` is deleted, 5 and restored to version 1 while 6 `c` is set.
fn unfoldable() -> Vec<(Change, &'static str)> {
    let restored = |value: &str, old: Value, version: u64| {
        event(RESTORED, &json!({"value": value, "old_value": old, "restored_version": version}))
    };
    let typed = json!({"value": "1", "old_value": null, "content_type": "text/plain", "restored_version": 1});
    vec![
        ((5, json!({"version": 5})), "its version is not the next one"),
        ((2, json!({"version": 2})), "its version is not the next one"),
        ((5, event(SET, &json!({"value": "1", "old_value": null}))), "a deleted config is set"),
        (
            (1, event(DELETED, &json!({"deleted_value": "1"}))),
            "a config without a value is deleted",
        ),
        ((4, event(DELETED, &json!({"deleted_value": "1"}))), "what is deleted is not what it had"),
        (
            (4, event(DELETED, &json!({"deleted_value": "3", "content_type": "text/plain"}))),
            "what is deleted is not what it had",
        ),
        ((1, restored("1", json!(null), 1)), "a config that never existed is restored"),
        ((5, restored("1", json!(null), 0)), "a version is restored that does not come before it"),
        ((5, restored("1", json!(null), 4)), "a version is restored that does not come before it"),
        ((5, restored("3", json!(null), 3)), "a version is restored that was a delete"),
        ((5, restored("1", json!(null), 2)), "what is restored is not what that version had"),
        ((5, event(RESTORED, &typed)), "what is restored is not what that version had"),
        ((5, restored("1", json!("3"), 1)), "the value before it is not what it says"),
        (
            (3, event(SET, &json!({"value": "3", "old_value": "2"}))),
            "the value before it is not what it says",
        ),
        (
            (3, event(SET, &json!({"value": "3", "old_value": null}))),
            "the value before it is not what it says",
        ),
        (
            (2, event(SET, &json!({"value": "x", "old_value": ""}))),
            "the value before it is not what it says",
        ),
    ]
}

#[test]
fn events_that_do_not_follow_from_the_history_of_their_config_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let lines = backed_up(directory.path());
    for (index, (change, why)) in unfoldable().into_iter().enumerate() {
        let store = sqlite(directory.path(), &format!("forged{index}.db"));
        forge(&store, &lines, &change);
        is_refused(on_store("verify", &store, &[]), change.0, why);
    }
}

#[test]
fn they_are_refused_in_postgres_too() {
    let directory = tempfile::tempdir().unwrap();
    let lines = backed_up(directory.path());
    for (change, why) in unfoldable().into_iter().skip(9).take(3) {
        let database = database::create();
        forge(&database.url, &lines, &change);
        is_refused(on_store("verify", &database.url, &[]), change.0, why);
    }
}

/// Whoever owns the store can take its keys away.
#[test]
fn a_version_that_is_there_twice_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = backed_up(directory.path());
    let store = sqlite(directory.path(), "twice.db");
    // The event at position 7 takes the place of the first one of `a`; it was the first one of `d`.
    lines[8]["stream"] = json!("default/a");
    let hash = |lines: &[Value]| lines[8]["hash"].as_str().unwrap().to_owned();
    let was = hash(&lines);
    chain(&mut lines);
    let is = hash(&lines);
    assert_ne!(was, is);
    let mut whole = backed_up(directory.path());
    chain(&mut whole);
    restore_to(&store, &whole).succeeded();
    tamper(
        &store,
        format!("UPDATE events SET stream = 'default/a', hash = x'{is}' WHERE position = 7"),
    );
    is_refused(on_store("verify", &store, &[]), 7, "its version is not the next one");
}

#[test]
fn rows_that_no_server_writes_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let lines = backed_up(directory.path());
    let at = lines[7]["recorded_at"].as_i64().unwrap();
    let otherwise = "it is recorded otherwise than the rest of its command";
    let unkeyed = "its request id is not the one that its metadata has";
    let cases: [(Change, &str); 5] = [
        ((6, json!({"recorded_at": at + 1})), otherwise),
        ((6, json!({"metadata": r#"{"actor":"somebody else"}"#})), otherwise),
        ((7, json!({"request_id": null})), unkeyed),
        ((7, json!({"request_id": "r2"})), unkeyed),
        ((2, json!({"request_id": "r2"})), unkeyed),
    ];
    for (index, (change, why)) in cases.into_iter().enumerate() {
        let store = sqlite(directory.path(), &format!("forged{index}.db"));
        forge(&store, &lines, &change);
        let ended = on_store("verify", &store, &[]).failed_with(1);
        let told = format!("the row at position {}: {why}", change.0);
        assert!(ended.stderr.contains(&told), "{told}: {ended:#?}");
    }
}

#[test]
fn what_configs_were_before_the_position_to_begin_at_is_believed() {
    let directory = tempfile::tempdir().unwrap();
    let lines = backed_up(directory.path());
    let store = sqlite(directory.path(), "forged.db");
    let old_value = json!({"value": "1", "old_value": "3", "restored_version": 1});
    forge(&store, &lines, &(5, event(RESTORED, &old_value)));
    for from in ["0", "4"] {
        let ended = on_store("verify", &store, &["--from", from]);
        is_refused(ended, 5, "the value before it is not what it says");
    }
    on_store("verify", &store, &["--from", "5"]).succeeded();
    let store = sqlite(directory.path(), "other.db");
    let value = json!({"value": "2", "old_value": null, "restored_version": 1});
    forge(&store, &lines, &(5, event(RESTORED, &value)));
    let why = "what is restored is not what that version had";
    is_refused(on_store("verify", &store, &["--from", "1"]), 5, why);
    on_store("verify", &store, &["--from", "2"]).succeeded();
}

/// Events are as they were then, which is what has to be known before a new file is made of them.
#[test]
fn an_index_that_does_not_agree_with_the_log_says_nothing_of_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    tamper(&store, "INSERT INTO indexed (up_to, with_requests) VALUES (999, 1)");
    on_store("verify", &store, &[]).succeeded();
}

fn cannot_be_backed_up(store: &str, why: &str) {
    let ended = configapi(["backup", "--store", store, "-"]).ends().failed_with(1);
    assert!(ended.stderr.contains(why), "{why}: {ended:#?}");
    let ended = on_store("verify", store, &[]).failed_with(1);
    assert!(ended.stderr.contains(why), "{why}: {ended:#?}");
}

/// A backup that no restore takes would be found to be none on the day that it is needed.
#[test]
fn what_no_restore_would_take_is_not_backed_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = backed_up(directory.path());
    let store = written(directory.path());
    lines.truncate(8);
    lines[7]["request_id"] = json!("r2");
    chain(&mut lines);
    let hash = lines[7]["hash"].as_str().unwrap();
    tamper(&store, "DELETE FROM events WHERE position = 7");
    let forged =
        format!("UPDATE events SET request_id = 'r2', hash = x'{hash}' WHERE position = 6");
    tamper(&store, forged);
    cannot_be_backed_up(&store, "only a command's first event bears the request id");

    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    on_store("begin-epoch", &store, &["--yes"]).succeeded();
    tamper(&store, "DELETE FROM epochs WHERE epoch = 1");
    cannot_be_backed_up(&store, "its epochs are none that a log goes through");
}

#[test]
fn what_is_not_a_hash_is_not_taken_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let known = on_store("verify", &store, &[]).succeeded().json()["known"].clone();
    let known = known.as_str().unwrap();
    on_store("verify", &store, &["--expect", known]).succeeded();
    let signs = format!("7={}", "+1".repeat(32));
    for wrong in [&known[..known.len() - 2], &format!("{known}00"), &signs, &known[2..]] {
        let ended = on_store("verify", &store, &["--expect", wrong]).failed_with(2);
        assert!(ended.stderr.contains("64 hexadecimal digits"), "{ended:#?}");
    }
}
