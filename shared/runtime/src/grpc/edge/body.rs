//! One answer while it is sent: sees the status in its trailers, ends it at the client's deadline,
//! and turns a panic into trailers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tonic::{Code, Status};

use super::{GRACE, meter::Watched};
use crate::{
    answers::{SMALL_BYTES, Taken},
    budget::Full,
    grpc::{Framed, refusal},
};

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
        // None when the last word is known.
        #[pin]
        inner: Option<B>,
        // All that there is before the last word.
        whole: Option<Bytes>,
        #[pin]
        timer: Option<Sleep>,
        watched: Watched,
        // Of the last large piece that went out.
        taken: Option<Taken>,
        // Waits until that was taken: a call that has said its last word is over for hyper, and what of
        // it is not sent yet stays for as long as the client likes.
        last_word: Option<Box<HeaderMap>>,
    }
}

impl<B> EdgeBody<B> {
    pub(super) fn new(inner: B, watched: Watched) -> Self {
        Self { inner: Some(inner), ..Self::empty(watched) }
    }

    /// One that is whole already.
    pub(super) fn whole(framed: Framed, watched: Watched) -> Self {
        let last_word = Some(Box::new(trailers(&Status::ok(""))));
        Self { whole: Some(framed.into_bytes()), last_word, ..Self::empty(watched) }
    }

    pub(super) fn empty(watched: Watched) -> Self {
        Self { inner: None, whole: None, timer: None, watched, taken: None, last_word: None }
    }
}

impl<B: Body<Data = Bytes>> Body for EdgeBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if let Some(data) = this.whole.take() {
            match sent(data, this.watched, this.taken) {
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(Full) => *this.last_word = Some(Box::new(trailers(&refusal::answers_full()))),
            }
        }
        if let Some(inner) = this.inner.as_mut().as_pin_mut() {
            let last_word = match catch_unwind(AssertUnwindSafe(|| inner.poll_frame(context))) {
                Ok(Poll::Ready(Some(Ok(frame)))) => match frame.into_data() {
                    Ok(data) => match sent(data, this.watched, this.taken) {
                        Ok(data) => {
                            this.watched.message_begins();
                            return Poll::Ready(Some(Ok(Frame::data(data))));
                        }
                        Err(Full) => trailers(&refusal::answers_full()),
                    },
                    Err(frame) if this.taken.is_none() => {
                        return Poll::Ready(Some(Ok(seen(frame, this.watched))));
                    }
                    Err(frame) => frame.into_trailers().unwrap_or_default(),
                },
                Ok(Poll::Ready(Some(Err(error)))) => {
                    this.watched.end(Code::Internal);
                    return Poll::Ready(Some(Err(error)));
                }
                Ok(Poll::Ready(None)) => {
                    this.watched.end(Code::Unknown);
                    return Poll::Ready(None);
                }
                Ok(Poll::Pending) => {
                    this.watched.messages_were_taken();
                    let Some(deadline) = this.watched.call().client_deadline() else {
                        return Poll::Pending;
                    };
                    if this.timer.is_none() {
                        this.timer.set(Some(sleep_until(deadline + GRACE)));
                    }
                    if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                        ready!(timer.poll(context));
                    }
                    trailers(&refusal::deadline_exceeded())
                }
                Err(_panic) => trailers(&refusal::internal(this.watched.call())),
            };
            this.inner.set(None);
            *this.last_word = Some(Box::new(last_word));
        }
        if let Some(taken) = this.taken {
            ready!(Pin::new(taken).poll(context));
            *this.taken = None;
        }
        let last_word = this.last_word.take();
        Poll::Ready(last_word.map(|trailers| Ok(seen(Frame::trailers(*trailers), this.watched))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Some(inner) => inner.is_end_stream(),
            None => self.last_word.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.inner, &self.whole) {
            (Some(inner), _) => inner.size_hint(),
            (None, Some(_)) => SizeHint::default(),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}

/// Bytes as they go out. Large ones are counted until they are taken, and so are small ones of a client that
/// leaves many of them untaken.
fn sent(data: Bytes, watched: &Watched, last: &mut Option<Taken>) -> Result<Bytes, Full> {
    let (unsent, bytes) = (watched.call().unsent(), data.len());
    let data = if bytes <= SMALL_BYTES && !unsent.would_be_much_with(bytes) {
        data
    } else {
        let (data, taken) = watched.large(data)?;
        *last = Some(taken);
        data
    };
    unsent.given(bytes);
    Ok(data)
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
