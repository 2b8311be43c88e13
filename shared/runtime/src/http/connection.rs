//! What lies between one connection and the router: it knows which requests are under way until the last
//! of each answer has left the handlers' hands, and ends an answer that nobody takes.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use bytes::Bytes;
use http::{Extensions, Method, Request, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::Service;

use super::{
    Endless, InPieces, Room,
    lingering::Lingering,
    paced::{Paced, Sender},
};
use crate::{
    answers::{SMALL_BYTES, Taken, Unsent, tracked},
    arrivals::{Arrivals, FEW, Unanswered},
    budget::{Budget, Full, Place},
    calls::{self, Calls, UnderWay},
    due::{Due, LAST_FRAME_GRACE},
};

/// Goes with a request if 100 others of its connection are under way. Where there is a limit to all
/// requests, those leave half of it to the others, so that a few clients cannot use it up.
#[derive(Debug, Clone, Copy)]
pub struct OneOfMany;

/// The router, for one connection.
#[derive(Debug, Clone)]
pub(super) struct OfConnection {
    pub router: Router,
    pub connection: Arc<Connection>,
}

/// One connection, and what its requests and answers may take.
#[derive(Debug)]
pub(super) struct Connection {
    pub calls: Calls,
    pub arrivals: Arrivals,
    pub unsent: Unsent,
    pub room: Room,
    pub body_pause: Duration,
    pub body_total: Duration,
    pub answer_timeout: Duration,
    pub message_timeout: Duration,
}

impl Connection {
    /// The request with a body that must keep coming. How it comes is told to the edge.
    fn paced(&self, request: Request<Incoming>) -> Request<Body> {
        if request.body().is_end_stream() {
            return request.map(|_| Body::empty());
        }
        let sender = Sender::default();
        let mut request = Lingering::body_of(request).map(|body| {
            let (pause, total) = (self.body_pause, self.body_total);
            Body::new(Paced::new(body, pause, total, self.arrivals.clone(), sender.clone()))
        });
        request.extensions_mut().insert(sender);
        request
    }
}

impl Service<Request<Incoming>> for OfConnection {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Answering<<Router as Service<Request<Body>>>::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let connection = &*self.connection;
        let timeout = connection.answer_timeout;
        // Over HTTP/1 there is nothing but the connection that could end it.
        let is_alone = request.version() < Version::HTTP_2;
        let grace = if is_alone { Duration::ZERO } else { timeout.min(LAST_FRAME_GRACE) };
        let due_after = timeout + grace;
        let under_way = Some(connection.calls.begin());
        // What changes something is answered even if its client has said its last word and only listens. Who
        // reads and goes away, by the same sign, is not waited for.
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let is_owed = is_alone && !is_read;
        let unanswered = is_owed.then(|| connection.arrivals.unanswered());
        let mut request = connection.paced(request);
        if connection.calls.are_more_than(FEW) {
            request.extensions_mut().insert(OneOfMany);
        }
        let handling = self.router.call(request);
        let asked = Asked { connection: Arc::clone(&self.connection), is_read };
        let time = Time { timeout, due_after };
        Answering { handling, asked: Some(asked), done: (under_way, unanswered), time }
    }
}

/// Where a request came from, and whether its answer tells of nothing that was done.
#[derive(Debug)]
struct Asked {
    connection: Arc<Connection>,
    is_read: bool,
}

impl Asked {
    /// A place for so much of the answer. What was done is told in any case.
    fn place_for(&self, bytes: usize) -> Result<Option<Place>, Full> {
        self.is_read.then(|| self.connection.room.place_for(bytes)).transpose()
    }
}

pin_project! {
    /// The answer to one request.
    pub(super) struct Answering<F> {
        #[pin]
        handling: F,
        // None once it was answered.
        asked: Option<Asked>,
        done: (Option<UnderWay>, Option<Unanswered>),
        time: Time,
    }
}

impl<F> Future for Answering<F>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    type Output = Result<Response<Answer>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.handling.poll(context));
        let (mut head, inner) = response.into_parts();
        let is_large = inner.size_hint().exact().is_some_and(|bytes| bytes > SMALL_BYTES as u64);
        let time = *this.time;
        let kind = Kind::of(&mut head.extensions);
        let has_end = matches!(kind, Kind::InPieces) || is_large;
        let due = has_end.then(|| time.begin());
        let place = head.extensions.remove();
        // Polled after it was done, which futures may answer as they like.
        let Some(asked) = this.asked.take() else { return Poll::Pending };
        let done = std::mem::take(this.done);
        let answer = Answer { inner, asked, kind, time, place, due, taken: None, _done: done };
        Poll::Ready(Ok(Response::from_parts(head, answer)))
    }
}

/// How an answer comes.
#[derive(Debug)]
enum Kind {
    /// All of it is there from the beginning.
    Whole,
    InPieces,
    Endless(Box<(Budget, Endless)>),
}

impl Kind {
    fn of(extensions: &mut Extensions) -> Self {
        if extensions.remove::<InPieces>().is_some() {
            return Self::InPieces;
        }
        match (extensions.remove(), extensions.remove()) {
            (Some(room), Some(endless)) => Self::Endless(Box::new((room, endless))),
            _ => Self::Whole,
        }
    }
}

/// How long an answer, or a piece of one, may take to be taken.
#[derive(Debug, Clone, Copy)]
struct Time {
    timeout: Duration,
    /// Until its connection is closed.
    due_after: Duration,
}

impl Time {
    /// It begins now.
    fn begin(self) -> Due {
        let now = Instant::now();
        calls::end_by(now + self.timeout);
        Due::by(now + self.due_after)
    }
}

fn broken_off(full: Full) -> axum::Error {
    tracing::warn!(reason = %full, "a long answer broke off");
    axum::Error::new(full)
}

pin_project! {
    /// The body of an answer.
    pub(super) struct Answer {
        #[pin]
        inner: Body,
        asked: Asked,
        kind: Kind,
        time: Time,
        // Of a large answer, until its bytes have it.
        place: Option<Place>,
        // Of a large answer, or of the piece that goes out.
        due: Option<Due>,
        // Of the last large piece that went out.
        taken: Option<Taken>,
        _done: (Option<UnderWay>, Option<Unanswered>),
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut this = self.project();
        if !matches!(this.kind, Kind::Whole)
            && let Some(taken) = this.taken
        {
            ready!(Pin::new(taken).poll(context));
            *this.taken = None;
            *this.due = if matches!(this.kind, Kind::InPieces) {
                Some(this.time.begin())
            } else {
                calls::end_never();
                None
            };
        }
        let Poll::Ready(next) = this.inner.as_mut().poll_frame(context) else {
            if matches!(this.kind, Kind::Endless(_)) {
                // More is asked for: all before it was taken.
                calls::end_never();
            }
            return Poll::Pending;
        };
        let Some(frame) = next.transpose()? else {
            // A call that has said its last word is over for hyper, and what of it is not sent yet stays
            // for as long as the client likes.
            if let Some(taken) = this.taken {
                ready!(Pin::new(taken).poll(context));
                *this.taken = None;
            }
            return Poll::Ready(None);
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return Poll::Ready(Some(Ok(frame))),
        };
        let (unsent, bytes) = (&this.asked.connection.unsent, data.len());
        if bytes <= SMALL_BYTES {
            if !matches!(this.kind, Kind::Whole) || !unsent.would_be_much_with(bytes) {
                unsent.given(bytes);
                if matches!(this.kind, Kind::Endless(_)) {
                    calls::end_by(Instant::now() + this.asked.connection.message_timeout);
                }
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            // Of this client, it is counted like a large one.
            *this.due = Some(this.time.begin());
            *this.place = this.asked.place_for(bytes).map_err(axum::Error::new)?;
        }
        let place = match (&*this.kind, &mut *this.place) {
            (Kind::Endless(this_one), _) => match this_one.0.place_for(data.len()) {
                Ok(place) => {
                    *this.due = Some(this.time.begin());
                    Some(place)
                }
                Err(full) => {
                    tracing::warn!(reason = %full, "an endless answer is ended");
                    this.inner.set(Body::empty());
                    let last_words = this_one.1.last_words.clone();
                    return Poll::Ready(Some(Ok(Frame::data(last_words))));
                }
            },
            (Kind::InPieces, Some(place)) => {
                place.grow_to(data.len()).map_err(broken_off)?;
                Some(place.clone())
            }
            (_, place) => place.clone(),
        };
        unsent.given(bytes);
        let (data, taken) = tracked(data, place, this.due.clone());
        *this.taken = Some(taken);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.taken.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
