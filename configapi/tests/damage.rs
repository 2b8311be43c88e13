//! What the tools of an operator say of a store that was damaged.

use std::fs;

use crate::operating::on_store;
use crate::support::configapi;
use crate::support::stored::{tamper, written};

#[test]
fn what_to_do_about_a_row_that_no_log_may_hold_is_told() {
    for sql in [
        // A command of two events that ends with the first.
        "DELETE FROM events WHERE position = 6",
        "UPDATE events SET payload = CAST(x'ff' AS TEXT) WHERE position = 3",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = written(directory.path());
        tamper(&store, "DELETE FROM events WHERE position = 7");
        tamper(&store, sql);
        let ended = on_store("verify", &store, &[]).failed_with(1);
        assert!(ended.stderr.contains("the log is corrupt at position"), "{ended:#?}");
        assert!(ended.stderr.contains("docs/runbook.md"), "{ended:#?}");
    }
}

/// Whoever is told that it is no whole backup may throw it away.
#[test]
fn a_backup_that_is_compressed_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup.jsonl.packed");
    let store = format!("sqlite:{}", directory.path().join("other.db").display());
    let starts: [&[u8]; 4] = [b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"BZh91AY&SY"];
    for start in starts {
        let bytes = [start, &[b'\n', 7, 0xff, 0]].concat();
        fs::write(&file, &bytes).unwrap();
        let piped = configapi(["restore-backup", "--store", &store, "-"]).stdin(bytes).ends();
        for ended in [on_store("restore-backup", &store, &[file.to_str().unwrap()]), piped] {
            let ended = ended.failed_with(1);
            assert!(ended.stderr.contains("it is compressed"), "{ended:#?}");
            assert!(ended.stderr.contains("zstd -dc"), "{ended:#?}");
            assert!(!ended.stderr.contains("use another"), "{ended:#?}");
        }
    }
    assert!(!directory.path().join("other.db").exists());
}
