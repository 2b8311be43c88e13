//! Large answers while they are under way: each keeps its place among those that a server holds for clients
//! that do not take them. Small ones, which are nearly all, never come here.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{budget::Place, due::Due};

/// What is not larger is not counted.
pub(crate) const SMALL_BYTES: usize = 16 << 10;
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
