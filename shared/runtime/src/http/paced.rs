//! A request's body that must keep coming: a pause too long, or too long in all, ends it with an error.
//! What has to be waited for needs a place among what comes.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::lingering::Lingering;
use crate::arrivals::{Arrivals, Arriving};

/// Why a request's body ended before its end. It is among the causes of what reading the body fails
/// with.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    /// The sender was too slow. A handler may answer 408 in its own words; of any other answer only
    /// the status 408 is left.
    #[error("the request's body came too slowly")]
    TooSlow,
    /// As many bodies are still coming as the server waits for. A handler may answer 429 in its own
    /// words; of any other answer only the status 429 is left.
    #[error("as many requests are still coming as the server waits for")]
    TooMany,
    /// The connection or its framing broke.
    #[error("the request's body broke off")]
    Broken(#[from] hyper::Error),
}

/// What became of who sends a body. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Sender(Arc<AtomicU8>);

impl Sender {
    const TOO_SLOW: u8 = 1;
    const ONE_TOO_MANY: u8 = 2;

    pub fn was_too_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::TOO_SLOW
    }

    pub fn was_one_too_many(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::ONE_TOO_MANY
    }

    fn set(&self, what: u8) {
        self.0.store(what, Ordering::Relaxed);
    }
}

pin_project! {
    pub(super) struct Paced {
        #[pin]
        inner: Lingering,
        #[pin]
        timer: Sleep,
        pause: Duration,
        end: Instant,
        arrivals: Arrivals,
        // Since it had to be waited for.
        arriving: Option<Arriving>,
        sender: Sender,
    }
}

impl Paced {
    /// The sender is told what becomes of it.
    pub fn new(
        inner: Lingering,
        pause: Duration,
        total: Duration,
        arrivals: Arrivals,
        sender: Sender,
    ) -> Self {
        let now = Instant::now();
        let end = now + total;
        let timer = sleep_until(end.min(now + pause));
        Self { inner, timer, pause, end, arrivals, arriving: None, sender }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.inner.as_mut().poll_frame(context) {
            let next = (*this.end).min(Instant::now() + *this.pause);
            this.timer.as_mut().reset(next);
            if this.inner.is_end_stream() {
                *this.arriving = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Interrupted::from)));
        }
        this.arrivals.want_more();
        if this.arriving.is_none() {
            *this.arriving = this.arrivals.begin();
            if this.arriving.is_none() {
                this.sender.set(Sender::ONE_TOO_MANY);
                return Poll::Ready(Some(Err(Interrupted::TooMany)));
            }
        }
        ready!(this.timer.poll(context));
        this.inner.give_up();
        this.sender.set(Sender::TOO_SLOW);
        Poll::Ready(Some(Err(Interrupted::TooSlow)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
