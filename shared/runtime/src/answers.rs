//! Large answers while they are under way: each keeps its place among those that a server holds for clients
//! that do not take them. Small ones, which are nearly all, count as large only on a connection to which many
//! of them were given and could not be sent.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{budget::Place, due::Due};

/// What is not larger is not counted, as a rule.
pub(crate) const SMALL_BYTES: usize = 16 << 10;
/// How much of a connection's answers may be unsent before small ones count as well. Who takes answers is far
/// below it, however many calls are under way.
const MAX_UNSENT_BYTES: usize = 512 << 10;

/// How much of a connection's answers HTTP's library was given and has not sent. Over HTTP/2 a client may have
/// a thousand streams and give leave to send none of what is on them. Clones are of the same connection, whose
/// task alone counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unsent(Arc<AtomicUsize>);

impl Unsent {
    /// Whether it would be much with so much more.
    pub fn would_be_much_with(&self, bytes: usize) -> bool {
        self.0.load(Ordering::Relaxed).saturating_add(bytes) > MAX_UNSENT_BYTES
    }

    /// The library is given so much more.
    pub fn given(&self, bytes: usize) {
        let unsent = self.0.load(Ordering::Relaxed).saturating_add(bytes);
        self.0.store(unsent, Ordering::Relaxed);
    }

    /// The library has sent so much, of whatever it was.
    pub fn sent(&self, bytes: usize) {
        let unsent = self.0.load(Ordering::Relaxed).saturating_sub(bytes);
        self.0.store(unsent, Ordering::Relaxed);
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
