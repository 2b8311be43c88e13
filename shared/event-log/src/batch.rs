//! What a batch must look like before any store is asked to write it. Every adapter calls this, so
//! that a mistaken writer is told the same by all of them, and a unique key of the database can
//! only ever mean that somebody else was faster.

use configapi_domain::Position;

use crate::{AppendError, Head, MAX_EVENTS_PER_COMMAND, StoredEvent};

/// Refuses a batch that could never be right after `head`: positions that are not the next ones,
/// a time that runs backwards, a command that is torn, or a request id within a command.
pub fn check_batch(head: &Head, events: &[StoredEvent]) -> Result<(), AppendError> {
    let mut expected = head.position;
    let mut recorded_at = head.recorded_at;
    // What is still to come of the command: its next index and its size.
    let mut open: Option<(u32, u32)> = None;
    for row in events {
        expected = expected.next();
        if row.position != expected {
            return refused(row.position, "positions must follow the head without a gap");
        }
        if row.recorded_at < recorded_at {
            return refused(row.position, "the recorded time must not run backwards");
        }
        recorded_at = row.recorded_at;
        if !is_sane(row) {
            return refused(row.position, "a version or a length is not what a row may hold");
        }
        let (index, size) = open.unwrap_or((0, row.part.size));
        if row.part.index != index || row.part.size != size || too_large(size) {
            return refused(row.position, "the parts of a command must be whole and in order");
        }
        if index > 0 && row.request_id.is_some() {
            return refused(row.position, "only a command's first event bears the request id");
        }
        open = (!row.ends_command()).then_some((index + 1, size));
    }
    if open.is_some() {
        return refused(expected, "the batch ends within a command");
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

fn too_large(size: u32) -> bool {
    size == 0 || usize::try_from(size).map_or(true, |size| size > MAX_EVENTS_PER_COMMAND)
}

fn refused(position: Position, rule: &str) -> Result<(), AppendError> {
    Err(AppendError::Refused(format!("{rule} (at position {position})")))
}
