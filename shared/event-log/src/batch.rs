//! What a batch must look like before any store is asked to write it. Every adapter calls this, so
//! that a mistaken writer is told the same by all of them, and a unique key of the database can
//! only ever mean that somebody else was faster.

use configapi_domain::Position;

use crate::{AppendError, CommandPart, Head, StoredEvent};

/// Refuses a batch that could never be right after `head`: positions that are not the next ones,
/// a time that runs backwards, a command that is torn, or a request id within a command.
pub fn check_batch(head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
    let mut expected = head.position;
    let mut recorded_at = head.recorded_at;
    // A head is the end of a command.
    let mut part = CommandPart::WHOLE;
    for row in events {
        expected = expected.next();
        if row.position != expected {
            return refused(row.position, "positions must follow the head without a gap");
        }
        if row.recorded_at < recorded_at {
            return refused(row.position, "the recorded time must not run backwards");
        }
        recorded_at = row.recorded_at;
        if let Err(rule) = check_row(part, row) {
            return refused(row.position, rule);
        }
        part = row.part;
    }
    if !part.is_last() {
        return refused(expected, "the batch ends within a command");
    }
    Ok(())
}

/// Refuses a row that no batch may hold behind one that is the part `before` of its command; the error
/// is the rule that it breaks.
pub fn check_row(before: CommandPart, row: &StoredEvent) -> Result<(), &'static str> {
    if !row.part.follows(before) {
        return Err("the parts of a command must be whole and in order");
    }
    check_alone(row)
}

/// Refuses a row that no batch may hold, whatever is before it; the error is the rule that it breaks.
pub fn check_alone(row: &StoredEvent) -> Result<(), &'static str> {
    if !is_sane(row) {
        return Err("a version or a length is not what a row may hold");
    }
    if row.part.index > 0 && row.request_id.is_some() {
        return Err("only a command's first event bears the request id");
    }
    Ok(())
}

/// The bounds are wider than those of the domain: the log outlives what it is written by.
fn is_sane(row: &StoredEvent) -> bool {
    let request_id = row.request_id.as_deref();
    row.version.0 >= 1
        && row.schema_version >= 1
        && (1..=512).contains(&row.stream.len())
        && (1..=64).contains(&row.event_type.len())
        && request_id.is_none_or(|id| (1..=128).contains(&id.len()))
}

fn refused(position: Position, rule: &str) -> Result<(), AppendError> {
    Err(AppendError::Refused(format!("{rule} (at position {position})")))
}
