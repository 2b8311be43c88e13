//! How many bytes of one kind a server holds for its clients, all of them together. Only large pieces are
//! counted.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// In what bytes are counted.
const UNIT_BYTES: usize = 1 << 10;

/// As many bytes are under way as the server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("as many bytes are under way as the server holds")]
pub struct Full;

/// How many bytes may be under way. Clones are the same bytes.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

/// The place of one answer or request, or of the pieces of one that follow each other.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    permit: Arc<OwnedSemaphorePermit>,
}

impl Place {
    /// Makes it large enough for so many bytes, if it is not and there is room. Nothing else may be in
    /// this place.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Full> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).map_err(|_| Full)?;
        let have = u32::try_from(self.permit.num_permits()).map_err(|_| Full)?;
        let Some(more) = units.checked_sub(have).filter(|&more| more > 0) else { return Ok(()) };
        let semaphore = Arc::clone(self.permit.semaphore());
        let permit = Arc::get_mut(&mut self.permit).ok_or(Full)?;
        permit.merge(semaphore.try_acquire_many_owned(more).map_err(|_| Full)?);
        Ok(())
    }
}

impl Budget {
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((max_bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS))))
    }

    /// A place for so many bytes, if there is one.
    pub fn place_for(&self, bytes: usize) -> Result<Place, Full> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).map_err(|_| Full)?;
        let permit = Arc::clone(&self.0).try_acquire_many_owned(units).map_err(|_| Full)?;
        Ok(Place { permit: Arc::new(permit) })
    }
}
