//! The one layer around every gRPC call: deadline, panics, limit, request id, metrics and the log
//! line of a failure. It lies on the hot path: one future, one body, no boxes, no span unless the
//! log asks for it.

mod body;
mod call;
mod drain;
mod future;
mod meter;
mod protocol;
mod request;
mod timeout;
mod within;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use tokio::time::Instant;
use tonic::Status;
use tower::Service;

pub use self::{
    body::EdgeBody, call::Call, future::EdgeFuture, request::RequestBody, within::EdgeStream,
};
use self::{
    drain::Drain,
    future::{Handled, Stage},
    meter::{Meters, Watched},
    protocol::NotGrpc,
};
use super::{CallLimits, reflection::Method, refusal};
use crate::{budget::Budget, metrics::Metrics};

/// A handler that answers for itself at its deadline (with `OUTCOME_UNKNOWN`, say) goes first: the
/// edge waits this much longer, from when it sees that the deadline is over.
pub const GRACE: Duration = Duration::from_millis(20);

/// When the time for an answer is over, its last word has this long to leave before it is given up.
const LAST_WORD_GRACE: Duration = Duration::from_secs(1);

/// Makes the edge around the services of each connection of one server.
#[derive(Debug, Clone)]
pub struct EdgeLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: CallLimits,
    meters: Meters,
    /// What is told to who asks for another method.
    served: String,
    waiting: AtomicUsize,
    bodies: Budget,
}

impl EdgeLayer {
    /// An edge for these methods; calls of any other are counted together.
    pub fn new(limits: CallLimits, methods: &[Method], metrics: &Metrics) -> Self {
        Self::of_server(limits, methods, metrics, "")
    }

    /// An edge that also says where other methods are.
    pub(super) fn of_server(
        limits: CallLimits,
        methods: &[Method],
        metrics: &Metrics,
        elsewhere: &str,
    ) -> Self {
        let meters = Meters::new(methods, &limits, &metrics.calls);
        let served = refusal::served(methods, elsewhere);
        let (waiting, bodies) = (AtomicUsize::new(0), Budget::new(limits.max_body_bytes));
        Self { shared: Arc::new(Shared { limits, meters, served, waiting, bodies }) }
    }

    /// The edge around this service, for a connection from there.
    pub fn around<S>(&self, inner: S, peer: SocketAddr) -> Edge<S> {
        Edge { inner, shared: Arc::clone(&self.shared), peer }
    }
}

/// The edge around one service.
#[derive(Debug, Clone)]
pub struct Edge<S> {
    inner: S,
    shared: Arc<Shared>,
    peer: SocketAddr,
}

impl<S, B, R> Service<Request<B>> for Edge<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>, Error = Infallible>,
    B: http_body::Body,
    R: http_body::Body<Data = Bytes>,
{
    type Response = Response<EdgeBody<R>>;
    type Error = Infallible;
    type Future = EdgeFuture<S::Future, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let started = std::time::Instant::now();
        let arrived = Instant::from_std(started);
        let limits = &self.shared.limits;
        let asked = timeout::of(request.headers());
        let client = asked.as_ref().ok().copied().flatten();
        let allowed = client.map_or(limits.default_timeout, |asked| asked.min(limits.max_timeout));
        let client_deadline = client.and_then(|asked| arrived.checked_add(asked));
        let meter = Arc::clone(self.shared.meters.of(request.uri().path()));
        let traced = meter.begin_span(request.headers());
        let (headers, peer) = (request.headers(), self.peer);
        let call = Call::new(headers, arrived + allowed, client_deadline, peer, traced.as_ref());
        let waiting = Waiting::new(&self.shared);

        let not_grpc = protocol::check(&request).err();
        let refused = if let Some(not_grpc) = not_grpc {
            Some(not_grpc.status())
        } else if asked.is_err() {
            Some(refusal::bad_timeout())
        } else if allowed.is_zero() {
            Some(refusal::deadline_exceeded())
        } else if !meter.is_of_method() {
            Some(refusal::unknown_method(request.uri().path(), &self.shared.served))
        } else if waiting.is_none() {
            Some(refusal::limit_exceeded())
        } else {
            None
        };
        let span = span_of(&call);
        let watched = Watched::new(meter, call.clone(), started, traced);
        // Who is refused waits for nothing, however long it goes on sending.
        let (stage, waiting) = if let Some(status) = refused {
            (Stage::refused(status, Some(Drain::new(request.into_body()))), None)
        } else {
            request.extensions_mut().insert(call.clone());
            let (is_one, bodies) = (!watched.takes_stream(), self.shared.bodies.clone());
            let request = request.map(|body| RequestBody::new(body, is_one, bodies));
            (Stage::handling(&call, &span, || self.inner.call(request)), waiting)
        };
        EdgeFuture::new(Handled::new(stage, watched, waiting, span), not_grpc)
    }
}

/// Names the call in what is logged of it, if that is logged at all.
fn span_of(call: &Call) -> tracing::Span {
    let span = tracing::debug_span!("call", request_id = tracing::field::Empty);
    if !span.is_disabled() {
        span.record("request_id", call.request_id());
    }
    span
}

/// Held from a call's arrival until its answer begins.
#[derive(Debug)]
struct Waiting {
    shared: Arc<Shared>,
}

impl Waiting {
    fn new(shared: &Arc<Shared>) -> Option<Self> {
        let before = shared.waiting.fetch_add(1, Ordering::Relaxed);
        let this = Self { shared: Arc::clone(shared) };
        (before < shared.limits.max_waiting_calls).then_some(this)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A refusal as an answer: status in the head, no body.
fn answer<R>(
    status: &Status,
    not_grpc: Option<NotGrpc>,
    mut watched: Watched,
) -> Response<EdgeBody<R>> {
    watched.end(status.code());
    let call = watched.call();
    let mut response = Response::new(());
    if let Some(not_grpc) = not_grpc {
        *response.status_mut() = not_grpc.http_status();
        response.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static("POST"));
    }
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, tonic::metadata::GRPC_CONTENT_TYPE);
    // Only metadata that is no header could fail, and there is none.
    let _ = status.add_header(headers);
    call.name_failure_in(headers);
    response.map(|()| EdgeBody::empty(watched))
}
