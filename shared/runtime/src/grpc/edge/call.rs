//! What the edge knows of one call, for its handler: until when it must answer, and what the call
//! is called in the log.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::{Connection, waiting::Waiting};
use crate::{
    answers::Unsent,
    arrivals::Arrivals,
    budget::Budget,
    request_id::{REQUEST_ID, RequestId},
    trace::{self, Span},
};

/// One call, as an extension of its request. Clones are the same call.
#[derive(Debug, Clone)]
pub struct Call {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    deadline: Instant,
    client_deadline: Option<Instant>,
    /// Filled from the request, or with a new id when somebody first asks.
    request_id: OnceLock<RequestId>,
    traceparent: Option<HeaderValue>,
    connection: Arc<Connection>,
    waiting: Waiting,
}

impl Call {
    pub(super) fn new(
        headers: &HeaderMap,
        deadline: Instant,
        client_deadline: Option<Instant>,
        connection: &Arc<Connection>,
        span: Option<&Span>,
    ) -> Self {
        let request_id = RequestId::sent_in(headers).map_or_else(OnceLock::new, OnceLock::from);
        let own = span.and_then(Span::traceparent);
        let traceparent = own.or_else(|| trace::sent_in(headers).cloned());
        let (connection, waiting) = (Arc::clone(connection), Waiting::default());
        Self {
            inner: Arc::new(Inner {
                deadline,
                client_deadline,
                request_id,
                traceparent,
                connection,
                waiting,
            }),
        }
    }

    /// Takes the call's place among those that wait for their answer, if there is one.
    pub(super) fn begin_waiting(&self) -> bool {
        self.inner.waiting.begin(&self.inner.connection)
    }

    /// The call has, and needs, no such place any more.
    pub(super) fn end_waiting(&self) {
        self.inner.waiting.end(&self.inner.connection);
    }

    /// The request is still coming: how long it may take until there is more of it begins anew.
    pub(super) fn request_is_coming(&self) {
        let by = Instant::now() + self.inner.connection.shared.limits.request_pause_timeout;
        self.inner.waiting.is_coming(by, self.inner.deadline);
    }

    /// Nothing of the request is waited for any more.
    pub(super) fn request_has_come(&self) {
        self.inner.waiting.has_come();
    }

    /// Until when the answer is waited for, or what there is to come of the request.
    pub(super) fn until(&self) -> Instant {
        self.inner.waiting.until(self.inner.deadline)
    }

    /// What comes on the call's connection.
    pub(super) fn arrivals(&self) -> &Arrivals {
        &self.inner.connection.arrivals
    }

    /// What of the answers on the call's connection could not go yet.
    pub(super) fn unsent(&self) -> &Unsent {
        &self.inner.connection.unsent
    }

    /// What the server holds of requests that are coming.
    pub(super) fn bodies(&self) -> &Budget {
        &self.inner.connection.shared.bodies
    }

    /// The call that this request belongs to; none if it did not come through the edge.
    pub fn of<T>(request: &tonic::Request<T>) -> Option<&Self> {
        request.extensions().get()
    }

    /// When the answer must have begun: the client's deadline or the server's limit, whichever is
    /// first.
    pub fn deadline(&self) -> Instant {
        self.inner.deadline
    }

    /// When the client stops listening, if it said so; the end of a stream too.
    pub fn client_deadline(&self) -> Option<Instant> {
        self.inner.client_deadline
    }

    /// What the call is called: what the client sent in `x-request-id`, or a new UUID.
    pub fn request_id(&self) -> &str {
        self.inner.request_id.get_or_init(RequestId::generate).as_str()
    }

    /// The `traceparent` of what is done for the request: its span's, if traces are on, or else the
    /// one that it sent, if it is well-formed.
    pub fn traceparent(&self) -> Option<&str> {
        self.inner.traceparent.as_ref()?.to_str().ok()
    }

    /// The trace that the call belongs to: 32 hex digits.
    pub fn trace_id(&self) -> Option<&str> {
        self.traceparent()?.get(3..35)
    }

    /// Whether a [`Framed`](crate::grpc::Framed) message among the extensions of the response is what the
    /// client gets.
    pub fn takes_framed(&self) -> bool {
        self.inner.connection.sends_frames
    }

    /// Where the call came from.
    pub fn peer(&self) -> SocketAddr {
        self.inner.connection.peer
    }

    /// Names the call in its answer, if it has a name. A call that the client did not name, whose
    /// name no handler wanted and that did not fail, is spared one.
    pub(super) fn name_in(&self, headers: &mut HeaderMap) {
        if let Some(name) = self.inner.request_id.get() {
            let mut value = name.as_header().clone();
            // No secret, but never seen again: as such it is kept out of the table of headers that
            // the connection remembers, whose upkeep on both sides costs more than the header.
            value.set_sensitive(true);
            headers.insert(REQUEST_ID, value);
        }
    }

    /// Names the call in its answer, with a new name if need be.
    pub(super) fn name_failure_in(&self, headers: &mut HeaderMap) {
        self.inner.request_id.get_or_init(RequestId::generate);
        self.name_in(headers);
    }
}
