//! One answer while it is sent: sees the status in its trailers, ends it at the client's deadline,
//! and turns a panic into trailers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tonic::{Code, Status};

use super::{GRACE, meter::Watched};
use crate::grpc::refusal;

const GRPC_STATUS: &str = "grpc-status";

/// What every failure of ours comes with.
const GRPC_DETAILS: &str = "grpc-status-details-bin";

/// The code in a head or in trailers, if there is one.
pub(super) fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

/// Gives a failure that has no reason the one that it should have, and says its code. What cannot be
/// read is refused beneath the handlers, without a reason and as if it were the server's fault.
pub(super) fn with_reason(headers: &mut HeaderMap, code: Code) -> Code {
    if headers.contains_key(GRPC_DETAILS) {
        return code;
    }
    let told = Status::from_header_map(headers);
    let Some(refused) = told.as_ref().and_then(refusal::unreadable) else { return code };
    // Only metadata that is no header could fail, and there is none.
    let _ = refused.add_header(headers);
    refused.code()
}

pin_project! {
    /// The body of an answer.
    pub struct EdgeBody<B> {
        // None when the edge has said the last word.
        #[pin]
        inner: Option<B>,
        #[pin]
        timer: Option<Sleep>,
        watched: Watched,
    }
}

impl<B> EdgeBody<B> {
    pub(super) fn new(inner: B, watched: Watched) -> Self {
        Self { inner: Some(inner), timer: None, watched }
    }

    pub(super) fn empty(watched: Watched) -> Self {
        Self { inner: None, timer: None, watched }
    }
}

impl<B: Body> Body for EdgeBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let last_word = match catch_unwind(AssertUnwindSafe(|| inner.poll_frame(context))) {
            Ok(Poll::Ready(Some(Ok(frame)))) => {
                return Poll::Ready(Some(Ok(seen(frame, this.watched))));
            }
            Ok(Poll::Ready(Some(Err(error)))) => {
                this.watched.end(Code::Internal);
                return Poll::Ready(Some(Err(error)));
            }
            Ok(Poll::Ready(None)) => {
                this.watched.end(Code::Unknown);
                return Poll::Ready(None);
            }
            Ok(Poll::Pending) => {
                let Some(deadline) = this.watched.call().client_deadline() else {
                    return Poll::Pending;
                };
                if this.timer.is_none() {
                    this.timer.set(Some(sleep_until(deadline + GRACE)));
                }
                if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                    ready!(timer.poll(context));
                }
                refusal::deadline_exceeded()
            }
            Err(_panic) => refusal::internal(this.watched.call()),
        };
        this.inner.set(None);
        Poll::Ready(Some(Ok(seen(Frame::trailers(trailers(&last_word)), this.watched))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// Looks at a frame that goes out: trailers end the call, and name it if it failed.
fn seen<D>(mut frame: Frame<D>, watched: &mut Watched) -> Frame<D> {
    if let Some(trailers) = frame.trailers_mut() {
        let mut code = code_in(trailers).unwrap_or(Code::Unknown);
        if code != Code::Ok && watched.takes_stream() {
            code = with_reason(trailers, code);
        }
        watched.end(code);
        if code != Code::Ok {
            watched.call().name_failure_in(trailers);
        }
    }
    frame
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // Only metadata that is no header could fail, and there is none.
    let _ = status.add_header(&mut trailers);
    trailers
}
