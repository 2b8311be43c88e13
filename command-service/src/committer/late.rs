//! Epochs that say that the log lost the head that was known, and whether they say all of it. One that began
//! after the log was written on comes too late: what lies before it has had two meanings, and tokens of the
//! first one are taken for tokens of the second.

use configapi_event_log::{Head, Lineage, PageLimit, StoredEvent};

use super::Refusal;
use super::establish::unavailable;
use super::worker::Worker;

impl Worker {
    /// Refuses a log whose epochs keep what is not in the history of the head that was lost. Of that history
    /// nothing but the head is known. Along it times never ran backwards, so what was recorded after the head
    /// does not lie before it; and what is written after a restore is, but for a clock that was set back.
    pub(super) async fn check_told_in_time(&self, lineage: &Lineage) -> Result<(), Refusal> {
        let Some(lost) = self.lost else { return Ok(()) };
        let Some(end) = lineage.end_of(lost.epoch) else { return Ok(()) };
        let kept = lineage.kept_of(lost.epoch, lost.position);
        let page = self.log.read(kept, PageLimit::new(1, 1)).await.map_err(unavailable)?;
        let row = page.events.first().filter(|row| row.position == kept);
        if row.is_none_or(|row| may_be_of_one_history(row, &lost)) {
            return Ok(());
        }
        Err(Refusal::ToldTooLate { epoch: end.epoch, first_position: end.first_position })
    }
}

/// Whether a row may lie before a head, or be it.
fn may_be_of_one_history(row: &StoredEvent, head: &Head) -> bool {
    if row.position == head.position {
        row.hash == head.hash
    } else {
        row.recorded_at <= head.recorded_at
    }
}
