//! A request's body that must keep coming: a pause too long, or too long in all, ends it with an
//! error.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::lingering::Lingering;

/// Why a request's body ended before its end. It is among the causes of what reading the body fails
/// with.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    /// The sender was too slow. A handler may answer 408 in its own words; of any other answer only
    /// the status 408 is left.
    #[error("the request's body came too slowly")]
    TooSlow,
    /// The connection or its framing broke.
    #[error("the request's body broke off")]
    Broken(#[from] axum::Error),
}

pin_project! {
    pub(super) struct Paced {
        #[pin]
        inner: Lingering,
        #[pin]
        timer: Sleep,
        pause: Duration,
        end: Instant,
        too_slow: Arc<AtomicBool>,
    }
}

impl Paced {
    /// `too_slow` is set when the sender was.
    pub fn new(
        inner: Lingering,
        pause: Duration,
        total: Duration,
        too_slow: Arc<AtomicBool>,
    ) -> Self {
        let now = Instant::now();
        let end = now + total;
        Self { inner, timer: sleep_until(end.min(now + pause)), pause, end, too_slow }
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
            return Poll::Ready(frame.map(|frame| frame.map_err(Interrupted::from)));
        }
        ready!(this.timer.poll(context));
        this.inner.give_up();
        this.too_slow.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(Interrupted::TooSlow)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
