//! Where a worker stands in the log. Says nothing of what is durable: that is the checkpoint's.

use configapi_event_log::domain::Position;
use configapi_event_log::{Epoch, Head, Lineage, StoredEvent, Tail};

use super::checkpoint::Checkpoint;
use super::earlier::Earlier;
use super::record::Writing;

/// Where a follower stands, and whose log it is.
pub struct Place {
    pub writing: Writing,
    pub lineage: Lineage,
    pub epoch: Epoch,
    pub tail: Tail,
    /// Events before that, which were delivered too.
    pub earlier: Earlier,
}

impl Place {
    /// Goes on over rows that were delivered.
    pub fn go_over(&mut self, rows: &[StoredEvent]) {
        let Some(last) = rows.last() else { return };
        let step = |row: &StoredEvent| {
            std::mem::replace(&mut self.tail, Tail::after(row.position, row.hash))
        };
        self.earlier.take_up(rows.iter().map(step), last.position);
    }

    /// What was delivered up to a position, as far as it is known, the newest first.
    pub fn delivered_until(&self, position: Position) -> impl Iterator<Item = &Tail> {
        let known = [&self.tail].into_iter().chain(self.earlier.places().iter().rev());
        known.filter(move |place| place.position() <= position)
    }

    /// Whether one who stands there has gone over everything that was in the log when that had this head, but
    /// for what an epoch took away since: that does not come any more.
    pub fn has_all(place: Option<&Self>, head: Option<&Head>) -> bool {
        let (Some(place), Some(head)) = (place, head) else { return false };
        let kept = place.lineage.kept_of(head.epoch, head.position);
        place.epoch == place.lineage.current() && place.tail.position() >= kept
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            log_id: self.writing.log_id.to_string(),
            epoch: self.epoch,
            tail: self.tail.clone(),
            earlier: self.earlier.clone(),
        }
    }

    /// The epoch that the event at this position was recorded in.
    pub fn epoch_of(&self, position: Position) -> Epoch {
        let starts = self.lineage.epochs().iter().rev();
        let mut begun = starts.filter(|start| start.first_position <= position);
        begun.next().map_or(Epoch::FIRST, |start| start.epoch)
    }
}
