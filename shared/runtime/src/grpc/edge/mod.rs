//! The one layer around every gRPC call: deadline, panics, limit, request id, metrics and the log
//! line of a failure. It lies on the hot path: one future, one body, no boxes, no span unless the
//! log asks for it.

mod body;
mod call;
mod future;
mod meter;
mod protocol;
mod request;
mod timeout;
mod waiting;
mod within;

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::AtomicUsize},
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
    future::{Handled, Stage},
    meter::{Meters, Watched},
    protocol::NotGrpc,
};
use super::{CallLimits, reflection::Method, refusal};
use crate::{
    answers::Unsent,
    arrivals::{Arrivals, OfListener},
    budget::Budget,
    connections::Traffic,
    drain::Drain,
    metrics::Metrics,
};

/// A handler that answers for itself at its deadline (with `OUTCOME_UNKNOWN`, say) goes first: the
/// edge waits this much longer, from when it sees that the deadline is over.
pub const GRACE: Duration = Duration::from_millis(20);

/// When the time for an answer is over, its last word has this long to leave before it is given up.
const LAST_WORD_GRACE: Duration = Duration::from_secs(1);

/// Where calls within this process seem to come from.
const THIS_PROCESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Makes the edge around the services of each connection of one server.
#[derive(Debug, Clone)]
pub struct EdgeLayer {
    /// Of the calls within this process.
    within: Arc<Connection>,
}

/// What the calls of one connection share.
#[derive(Debug)]
struct Connection {
    shared: Arc<Shared>,
    peer: SocketAddr,
    arrivals: Arrivals,
    unsent: Unsent,
    /// Calls that wait for their answer.
    waiting: AtomicUsize,
    /// Not if there is no wire.
    sends_frames: bool,
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
        let (waiting, bodies) = (AtomicUsize::default(), Budget::new(limits.max_body_bytes));
        let shared = Arc::new(Shared { limits, meters, served, waiting, bodies });
        // Nothing arrives here: requests are handed over whole.
        let arrivals = Arrivals::new(OfListener::new(0));
        let (peer, unsent, waiting) = (THIS_PROCESS, Unsent::default(), AtomicUsize::default());
        let sends_frames = false;
        let within = Connection { shared, peer, arrivals, unsent, waiting, sends_frames };
        Self { within: Arc::new(within) }
    }

    /// The edge around this service, for a connection from there.
    pub(super) fn around<S>(&self, inner: S, peer: SocketAddr, traffic: &Traffic) -> Edge<S> {
        let shared = Arc::clone(&self.within.shared);
        let (arrivals, unsent) = (traffic.arrivals.clone(), traffic.unsent.clone());
        let (waiting, sends_frames) = (AtomicUsize::default(), true);
        let connection = Connection { shared, peer, arrivals, unsent, waiting, sends_frames };
        Edge { inner, connection: Arc::new(connection) }
    }
}

/// The edge around one service.
#[derive(Debug, Clone)]
pub struct Edge<S> {
    inner: S,
    connection: Arc<Connection>,
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
        let shared = &*self.connection.shared;
        let limits = &shared.limits;
        let asked = timeout::of(request.headers());
        let client = asked.as_ref().ok().copied().flatten();
        let allowed = client.map_or(limits.default_timeout, |asked| asked.min(limits.max_timeout));
        let client_deadline = client.and_then(|asked| arrived.checked_add(asked));
        let meter = Arc::clone(shared.meters.of(request.uri().path()));
        let traced = meter.begin_span(request.headers());
        let (headers, deadline) = (request.headers(), arrived + allowed);
        let call = Call::new(headers, deadline, client_deadline, &self.connection, traced.as_ref());
        if meter.is_of_probes() {
            // Answered at once, and however full the server is: else it would be ended for that.
            call.end_waiting();
        }

        let not_grpc = protocol::check(&request).err();
        let refused = if let Some(not_grpc) = not_grpc {
            Some(not_grpc.status())
        } else if asked.is_err() {
            Some(refusal::bad_timeout())
        } else if allowed.is_zero() {
            Some(refusal::deadline_exceeded())
        } else if !meter.is_of_method() {
            Some(refusal::unknown_method(request.uri().path(), &shared.served))
        } else if meter.takes_stream() && !call.begin_waiting() {
            Some(refusal::limit_exceeded())
        } else {
            None
        };
        let span = span_of(&call);
        let watched = Watched::new(meter, call.clone(), started, traced);
        let stage = if let Some(status) = refused {
            Stage::refused(status, Some(Drain::new(request.into_body())))
        } else {
            request.extensions_mut().insert(call.clone());
            let is_one = !watched.takes_stream();
            let request = request.map(|body| RequestBody::new(body, is_one, call.clone()));
            Stage::handling(&call, &span, || self.inner.call(request))
        };
        EdgeFuture::new(Handled::new(stage, watched, span), not_grpc)
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
