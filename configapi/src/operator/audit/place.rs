//! Where a worker stands in the log. Says nothing of what is durable: that is the checkpoint's.

use configapi_event_log::domain::Position;
use configapi_event_log::{Epoch, Lineage, Tail};

use super::checkpoint::Checkpoint;
use super::record::Writing;

/// Where a follower stands, and whose log it is.
pub struct Place {
    pub writing: Writing,
    pub lineage: Lineage,
    pub epoch: Epoch,
    pub tail: Tail,
}

impl Place {
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            log_id: self.writing.log_id.to_string(),
            epoch: self.epoch,
            tail: self.tail.clone(),
        }
    }

    /// The epoch that the event at this position was recorded in.
    pub fn epoch_of(&self, position: Position) -> Epoch {
        let starts = self.lineage.epochs().iter().rev();
        let mut begun = starts.filter(|start| start.first_position <= position);
        begun.next().map_or(Epoch::FIRST, |start| start.epoch)
    }
}
