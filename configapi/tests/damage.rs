//! What the tools of an operator say of a store that was damaged.

use crate::operating::on_store;
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
