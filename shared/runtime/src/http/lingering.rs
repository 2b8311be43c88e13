//! A request's body that nobody reads to its end, because the request was answered before. Over HTTP/1
//! many clients send all of it before they look for an answer: if the connection were closed under them
//! they would never see why they were refused. So what they still send is taken for a while, and thrown
//! away. Over HTTP/2 the stream alone is reset; but what still comes for many such streams ends the
//! connection, so some of it is taken there too.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Version, header::EXPECT};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::timeout};

use crate::drain::Drain;

/// How long, over HTTP/1.
const LINGER_FOR: Duration = Duration::from_secs(10);
/// How much, over HTTP/1.
const LINGER_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Lingering {
    // None when it was dropped.
    inner: Option<Incoming>,
    version: Version,
    may_linger: bool,
    // Whether the client goes on sending if nobody reads.
    is_coming: bool,
    has_begun: bool,
}

impl Lingering {
    /// The body of a request with this head. Who asked whether to send it at all sends nothing before
    /// it is read.
    pub fn body_of(request: Request<Incoming>) -> Request<Self> {
        let version = request.version();
        let is_coming = !request.headers().contains_key(EXPECT);
        request.map(|inner| Self {
            inner: Some(inner),
            version,
            may_linger: true,
            is_coming,
            has_begun: false,
        })
    }

    /// It comes too slowly, or is broken: nothing more is waited for.
    pub fn give_up(&mut self) {
        self.is_coming = false;
        self.may_linger = false;
    }
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(context));
        self.has_begun = true;
        self.is_coming = self.may_linger && matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if !self.is_coming || self.is_end_stream() {
            return;
        }
        // Without a runtime there is no connection either.
        if let Some(rest) = self.inner.take()
            && let Ok(runtime) = Handle::try_current()
        {
            // However it ends, there is nobody to be told.
            match (self.version < Version::HTTP_2, self.has_begun) {
                (true, _) => drop(runtime.spawn(timeout(LINGER_FOR, throw_away(rest)))),
                (false, false) => drop(runtime.spawn(Drain::new(rest))),
                (false, true) => drop(runtime.spawn(Drain::of_begun(rest))),
            }
        }
    }
}

async fn throw_away(mut body: Incoming) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > LINGER_BYTES {
            return;
        }
    }
}
