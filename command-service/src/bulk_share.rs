//! The part of the server that all bulk streams may fill together. A stream holds its items back when
//! that is taken, so that bulk writes neither refuse each other nor stand in everybody else's way.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::committer::Limits;

/// Bulk items fill at most this part of the queue, in number and in bytes.
const PART_OF_QUEUE: usize = 4;

/// What is shared. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct BulkShare {
    places: Arc<Semaphore>,
    places_max: usize,
    /// A heavier item takes more than one place, so that one number bounds items and bytes.
    place_bytes: usize,
}

/// What an item holds while it is under way.
pub(crate) type Places = OwnedSemaphorePermit;

impl BulkShare {
    pub(crate) fn new(limits: &Limits) -> Self {
        let places_max = (limits.queue_submissions / PART_OF_QUEUE).max(1);
        let place_bytes = (limits.queue_bytes / PART_OF_QUEUE / places_max).max(1);
        Self { places: Arc::new(Semaphore::new(places_max)), places_max, place_bytes }
    }

    /// Room for an item of so many bytes, if there is some now and nobody waits for it.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Places> {
        Arc::clone(&self.places).try_acquire_many_owned(self.places_for(bytes)).ok()
    }

    /// Room for an item of so many bytes, as soon as those who came before have theirs. Who waits must
    /// go on settling what it has under way: others wait for that.
    pub(crate) fn take(&self, bytes: usize) -> impl Future<Output = Option<Places>> + Send + use<> {
        let taken = Arc::clone(&self.places).acquire_many_owned(self.places_for(bytes));
        async move { taken.await.ok() }
    }

    fn places_for(&self, bytes: usize) -> u32 {
        // What is larger than everything has everything for itself.
        let places = bytes.div_ceil(self.place_bytes).clamp(1, self.places_max);
        u32::try_from(places).unwrap_or(u32::MAX)
    }
}
