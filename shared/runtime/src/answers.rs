//! Large answers while they are under way: how many bytes of them a server holds for clients that do not
//! take them. Small ones, which are nearly all, never come here.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::due::Due;

/// What is not larger is not counted.
pub(crate) const SMALL_BYTES: usize = 16 << 10;
/// In what answers are counted.
const UNIT_BYTES: usize = 1 << 10;

/// As many bytes of answers are under way as the server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("as many bytes of answers are under way as the server holds")]
pub struct Full;

/// How many bytes of large answers may be under way. Clones are the same bytes.
#[derive(Debug, Clone)]
pub(crate) struct Answers(Arc<Semaphore>);

/// The place of one answer, or of the pieces of one that follow each other.
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

impl Answers {
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((max_bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS))))
    }

    /// A place for an answer of so many bytes, if there is one.
    pub fn place_for(&self, bytes: usize) -> Result<Place, Full> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).map_err(|_| Full)?;
        let permit = Arc::clone(&self.0).try_acquire_many_owned(units).map_err(|_| Full)?;
        Ok(Place { permit: Arc::new(permit) })
    }
}

/// Bytes that keep their place until nobody has them any more, and who hears when that is so. HTTP/2's
/// library takes any number of bytes at once and keeps them until the client wants them: that it has
/// taken them says nothing. They may be due by some time.
pub(crate) fn tracked(bytes: Bytes, place: Option<Place>, due: Option<Due>) -> (Bytes, Taken) {
    let (sender, taken) = oneshot::channel();
    let tracked = Tracked { bytes, _place: place, _due: due, _until: sender };
    (Bytes::from_owner(tracked), Taken(taken))
}

struct Tracked {
    bytes: Bytes,
    _place: Option<Place>,
    _due: Option<Due>,
    _until: oneshot::Sender<Infallible>,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Ends when nobody has the bytes any more.
#[derive(Debug)]
pub(crate) struct Taken(oneshot::Receiver<Infallible>);

impl Future for Taken {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(|_| ())
    }
}
