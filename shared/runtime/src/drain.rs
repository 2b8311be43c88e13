//! Reads what a refused client is still sending, and throws it away. A stream that is answered
//! before its request was read has to be reset, and what arrives for it then counts as an error of
//! the client's, until the whole connection is closed on it (`too_many_internal_resets`).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Buf;
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much is read before the stream is reset all the same: more than a client may have sent without
/// being asked to go on (`Http2Limits::stream_window`).
const MAX_BYTES: usize = 1024 * 1024;
/// How long a client may take until the first of it is there, and for all of it. On a machine that is
/// busy with an overload, what was sent together with the headers is not read together with them.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take until there is more. Who means to send a stream of requests is refused then.
const NEXT_PATIENCE: Duration = Duration::from_secs(1);

pin_project! {
    /// Ends when nothing more is coming, or enough has come.
    #[derive(Debug)]
    pub(crate) struct Drain<B> {
        #[pin]
        rest: B,
        bytes: usize,
        // Since it had to be waited for.
        until: Option<Instant>,
        // Made only if the rest is not there at once.
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<B> Drain<B> {
    pub fn new(rest: B) -> Self {
        Self { rest, bytes: 0, until: None, timer: None }
    }

    /// The rest of a request of which some was read.
    pub fn of_begun(rest: B) -> Self {
        Self { bytes: 1, ..Self::new(rest) }
    }
}

impl<B: Body> Future for Drain<B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        while *this.bytes <= MAX_BYTES {
            match this.rest.as_mut().poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    *this.bytes += frame.data_ref().map_or(0, Buf::remaining);
                    this.timer.set(None);
                }
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => {
                    if this.timer.is_none() {
                        let now = Instant::now();
                        let until = *this.until.get_or_insert(now + PATIENCE);
                        let next = if *this.bytes == 0 { until } else { now + NEXT_PATIENCE };
                        this.timer.set(Some(sleep_until(next.min(until))));
                    }
                    if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                        ready!(timer.poll(context));
                    }
                    return Poll::Ready(());
                }
            }
        }
        Poll::Ready(())
    }
}
