//! What no store is asked to write.

use configapi_event_log::{AppendError, CommandPart, StoredEvent, check_batch};

use crate::rows::{head, log};

fn refusal(change: impl FnOnce(&mut Vec<StoredEvent>)) -> String {
    let mut rows = log(&[1, 1, 3, 1]);
    let head = head(&rows[..2]);
    let mut batch = rows.split_off(2);
    change(&mut batch);
    match check_batch(&head, &batch) {
        Err(AppendError::Refused(rule)) => rule,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn whole_commands_right_after_the_head_are_fine() {
    let rows = log(&[1, 1, 1_000, 3]);
    assert_eq!(check_batch(&head(&rows[..2]), &rows[2..]), Ok(()));
    assert_eq!(check_batch(&head(&rows), &[]), Ok(()));
}

#[test]
fn positions_follow_the_head_without_a_gap() {
    let rule = "positions must follow the head without a gap";
    assert_eq!(refusal(|rows| rows[1].position.0 = 2), format!("{rule} (at position 2)"));
    assert_eq!(refusal(|rows| rows[0].position.0 = 3), format!("{rule} (at position 3)"));
    assert!(refusal(|rows| drop(rows.remove(0))).starts_with(rule));
}

#[test]
fn time_does_not_run_backwards() {
    let rule = "the recorded time must not run backwards";
    assert_eq!(refusal(|rows| rows[0].recorded_at.0 -= 99), format!("{rule} (at position 2)"));
    assert_eq!(refusal(|rows| rows[4].recorded_at.0 -= 2), format!("{rule} (at position 6)"));
}

#[test]
fn commands_are_whole_and_in_order() {
    let rule = "the parts of a command must be whole and in order";
    assert!(refusal(|rows| rows[2].part.index = 0).starts_with(rule));
    assert!(refusal(|rows| rows[2].part.size = 4).starts_with(rule));
    assert!(refusal(|rows| rows[0].part = CommandPart { index: 1, size: 2 }).starts_with(rule));
    assert!(refusal(|rows| rows[0].part = CommandPart { index: 0, size: 0 }).starts_with(rule));
    assert!(refusal(|rows| rows[0].part = CommandPart { index: 0, size: 1_001 }).starts_with(rule));
    let torn = refusal(|rows| rows.truncate(3));
    assert_eq!(torn, "the batch ends within a command (at position 4)");
}

#[test]
fn only_the_first_event_of_a_command_bears_the_request_id() {
    let rule = "only a command's first event bears the request id";
    let text = refusal(|rows| rows[2].request_id = Some("id".into()));
    assert_eq!(text, format!("{rule} (at position 4)"));
}

#[test]
fn lengths_and_versions_are_what_a_row_may_hold() {
    let rule = "a version or a length is not what a row may hold (at position 3)";
    let changes: [fn(&mut StoredEvent); 8] = [
        |row| row.version.0 = 0,
        |row| row.schema_version = 0,
        |row| row.stream = "".into(),
        |row| row.stream = "s".repeat(513).into(),
        |row| row.event_type = "".into(),
        |row| row.event_type = "t".repeat(65).into(),
        |row| row.request_id = Some("".into()),
        |row| row.request_id = Some("i".repeat(129).into()),
    ];
    for change in changes {
        assert_eq!(refusal(|rows| change(&mut rows[1])), rule);
    }
    let mut rows = log(&[1, 1, 1]);
    rows[2].stream = "s".repeat(512).into();
    rows[2].event_type = "t".repeat(64).into();
    rows[2].request_id = Some("i".repeat(128).into());
    assert_eq!(check_batch(&head(&rows[..2]), &rows[2..]), Ok(()));
}
