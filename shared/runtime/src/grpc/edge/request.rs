//! The body of a request while it comes: how much the reader behind has to keep of it counts in what a
//! server holds, if it is large. The last of a request that is one message is not handed on before the
//! request has ended, so that nothing is made of it for a client that stops there, and of one with a
//! second message nothing at all. Its call waits for an answer from then on; if it has to be waited for,
//! it needs a place among what comes.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use super::Call;
use crate::{
    arrivals::Arriving,
    budget::{Full, Place},
    drain::Drain,
    grpc::refusal,
};

/// What is not larger is not counted.
const SMALL_BYTES: usize = 64 << 10;
/// By how much a place grows.
const STEP_BYTES: usize = 64 << 10;
/// What comes before a message: whether it is compressed, and its length.
const HEADER_BYTES: usize = 5;

type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request.
#[derive(Debug)]
pub struct RequestBody<B> {
    // None when no more comes of it.
    inner: Option<B>,
    is_one_message: bool,
    messages: Messages,
    call: Call,
    place: Option<Place>,
    // Of one message that had to be waited for.
    arriving: Option<Arriving>,
    // Whether nothing has come since it was last waited for.
    is_pausing: bool,
    // Whether all of it has come, or nothing hangs on that: a stream has come when it begins.
    has_come: bool,
    // What is not handed on before it is known what follows.
    held_back: Option<Frame<Bytes>>,
    // Once there was no room for more, or more than there should be: what is said when the rest is gone.
    refused: Option<(Pin<Box<Drain<B>>>, Status)>,
}

impl<B> RequestBody<B> {
    pub(super) fn new(inner: B, is_one_message: bool, call: Call) -> Self {
        Self {
            inner: Some(inner),
            is_one_message,
            messages: Messages::default(),
            call,
            place: None,
            arriving: None,
            is_pausing: false,
            has_come: !is_one_message,
            held_back: None,
            refused: None,
        }
    }

    /// Whether there is more than its method takes.
    fn is_too_much(&self) -> bool {
        self.is_one_message && self.messages.are_more_than_one()
    }

    /// No more of the request will be waited for. Its call takes its place, if there is one.
    fn come(&mut self) -> Result<(), BoxError> {
        if std::mem::replace(&mut self.has_come, true) {
            return Ok(());
        }
        if self.arriving.take().is_some() {
            self.call.request_has_come();
        }
        if self.call.begin_waiting() {
            return Ok(());
        }
        (self.inner, self.held_back) = (None, None);
        Err(refusal::limit_exceeded().into())
    }

    /// There is nothing more at the moment: it is waited for, if there is a place.
    fn wait(&mut self) -> bool {
        if self.is_one_message {
            if self.arriving.is_none() {
                self.arriving = self.call.arrivals().begin();
            }
            if self.arriving.is_none() {
                return false;
            }
            if !std::mem::replace(&mut self.is_pausing, true) {
                self.call.request_is_coming();
            }
        }
        true
    }

    /// Says this when the rest of the request is gone.
    fn refuse(&mut self, why: Status) {
        (self.held_back, self.has_come) = (None, true);
        if self.arriving.take().is_some() {
            self.call.request_has_come();
        }
        let rest = self.inner.take().map(Drain::of_begun);
        self.refused = rest.map(|rest| (Box::pin(rest), why));
    }

    /// Counts what comes. The reader's buffer does not shrink, so a place does not either; but it is as
    /// large as the largest message, however many there are.
    fn count(&mut self, data: &[u8]) -> Result<(), Full> {
        let bytes = self.messages.unread_with(data);
        if bytes <= SMALL_BYTES {
            return Ok(());
        }
        let bytes = bytes.next_multiple_of(STEP_BYTES);
        match &mut self.place {
            Some(place) => place.grow_to(bytes)?,
            None => self.place = Some(self.call.bodies().place_for(bytes)?),
        }
        Ok(())
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        while let Some(inner) = &mut this.inner {
            let next = match Pin::new(&mut *inner).poll_frame(context) {
                Poll::Ready(next) => next,
                Poll::Pending if this.wait() => return Poll::Pending,
                Poll::Pending => {
                    this.refuse(refusal::arrivals_full());
                    break;
                }
            };
            let frame = match next {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    (this.inner, this.held_back, this.has_come) = (None, None, true);
                    return Poll::Ready(Some(Err(error.into())));
                }
                None => {
                    this.inner = None;
                    break;
                }
            };
            this.is_pausing = false;
            let has_ended = inner.is_end_stream();
            if let Some(data) = frame.data_ref() {
                let is_full = this.count(data).is_err();
                if this.is_too_much() {
                    this.refuse(refusal::second_message());
                    break;
                }
                if is_full {
                    this.refuse(refusal::bodies_full());
                    break;
                }
            }
            if has_ended && let Err(refused) = this.come() {
                return Poll::Ready(Some(Err(refused)));
            }
            let is_last = this.is_one_message && this.messages.are_whole() && !has_ended;
            if !is_last && this.held_back.is_none() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if let Some(before) = this.held_back.replace(frame) {
                return Poll::Ready(Some(Ok(before)));
            }
        }
        if let Some((drain, _)) = &mut this.refused {
            ready!(drain.as_mut().poll(context));
            let why = this.refused.take().map(|(_, why)| why);
            return Poll::Ready(why.map(|why| Err(why.into())));
        }
        if this.inner.is_none()
            && let Err(refused) = this.come()
        {
            return Poll::Ready(Some(Err(refused)));
        }
        Poll::Ready(this.held_back.take().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        let has_ended = self.inner.as_ref().is_none_or(Body::is_end_stream);
        has_ended && self.held_back.is_none() && self.refused.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Follows the messages of a body, to know where each ends.
#[derive(Debug, Default)]
struct Messages {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// Of a message, once its header is there.
    left: usize,
    /// Since the last message ended.
    unread: usize,
    /// Whether a message has ended, and whether anything came after it.
    has_first: bool,
    has_more: bool,
}

impl Messages {
    /// Whether nothing but whole messages has come.
    fn are_whole(&self) -> bool {
        self.unread == 0
    }

    /// Whether anything came after a whole message.
    fn are_more_than_one(&self) -> bool {
        self.has_more
    }

    /// How many bytes a reader that takes off whole messages has at once, when these come.
    fn unread_with(&mut self, data: &[u8]) -> usize {
        let at_once = self.unread + data.len();
        let mut rest = data;
        while !rest.is_empty() {
            self.has_more = self.has_first;
            let in_header = HEADER_BYTES - self.header_bytes;
            let (some, after) = rest.split_at(rest.len().min(self.left.saturating_add(in_header)));
            let (header, content) = some.split_at(some.len().min(in_header));
            self.header[self.header_bytes..][..header.len()].copy_from_slice(header);
            self.header_bytes += header.len();
            self.left -= content.len();
            self.unread += some.len();
            rest = after;
            if !header.is_empty() && self.header_bytes == HEADER_BYTES {
                let [_, length @ ..] = self.header;
                self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            }
            if self.header_bytes == HEADER_BYTES && self.left == 0 {
                (self.header_bytes, self.unread) = (0, 0);
                self.has_first = true;
            }
        }
        at_once
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, task::Waker, time::Duration};

    use futures_util::{StreamExt as _, stream};
    use http::HeaderMap;
    use http_body_util::StreamBody;
    use tokio::time::Instant;

    use super::*;
    use crate::{
        grpc::{CallLimits, edge::EdgeLayer},
        metrics::Metrics,
    };

    fn message(length: u8) -> Vec<u8> {
        [&[0, 0, 0, 0, length][..], &vec![b'x'; length.into()]].concat()
    }

    #[test]
    fn a_message_ends_where_its_header_says_however_it_comes() {
        let body = [message(3), message(0), message(200)].concat();
        let ends = [8, 13, 218];
        for step in [1, 2, 5, 7, 13, body.len()] {
            let mut messages = Messages::default();
            for (index, piece) in body.chunks(step).enumerate() {
                let before = index * step;
                let come = before + piece.len();
                let start =
                    |at: usize| ends.into_iter().filter(|&end| end <= at).max().unwrap_or(0);
                assert_eq!(messages.unread_with(piece), come - start(before), "{come} by {step}");
                assert_eq!(messages.are_whole(), ends.contains(&come), "{come} by {step}");
                assert_eq!(messages.are_more_than_one(), come > ends[0], "{come} by {step}");
            }
        }
    }

    /// How much a reader gets of a body that begins with this and ends, or does not.
    fn handed_on(data: &[u8], ends: bool, is_one_message: bool) -> usize {
        let data = Bytes::copy_from_slice(data);
        let begun = stream::iter([Ok::<_, Infallible>(Frame::data(data))]);
        let body = if ends { begun.boxed() } else { begun.chain(stream::pending()).boxed() };
        let edge = EdgeLayer::new(CallLimits::default(), &[], &Metrics::new("test", "0"));
        let deadline = Instant::now() + Duration::from_secs(10);
        let call = Call::new(&HeaderMap::new(), deadline, None, &edge.within, None);
        let mut body = RequestBody::new(StreamBody::new(body), is_one_message, call);
        let mut bytes = 0;
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut context) {
            bytes += frame.unwrap().into_data().unwrap().len();
        }
        assert_eq!(body.is_end_stream(), ends);
        bytes
    }

    #[test]
    fn the_last_of_one_message_is_handed_on_only_when_nothing_follows() {
        let whole = message(200);
        assert_eq!(handed_on(&whole, true, true), whole.len());
        assert_eq!(handed_on(&whole, false, true), 0);
        assert_eq!(handed_on(&whole[..100], false, true), 100);
        assert_eq!(handed_on(&whole, false, false), whole.len());
    }
}
