//! An HTTP server for an axum router with what axum's own lacks: limits on connections, headers and
//! slow senders, HTTP/1.1 and h2c on one port, panics answered, and a bounded drain at the end.

pub mod admin;
mod caught;
mod connection;
mod edge;
mod lingering;
mod paced;
mod room;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, extract::Request, response::Response, routing::Route};
use hyper_util::{rt::TokioTimer, server::conn::auto::Builder};
use tokio::net::TcpListener;
use tower::{Layer, Service, layer::util::Stack};

pub use self::{
    caught::Caught,
    connection::OneOfMany,
    edge::StandsFor,
    paced::Interrupted,
    room::{Endless, InPieces, Room},
};
use self::{
    connection::{Connection, OfConnection},
    edge::EdgeLayer,
};
pub use crate::budget::Full;
use crate::{
    calls::Calls,
    connections::{self, ConnectionLimits, Traffic},
    grpc::{Http2Limits, MESSAGE_TIMEOUT},
    metrics::Metrics,
    shutdown::Lifecycle,
};

/// All limits of one HTTP server.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Per listener.
    pub connections: ConnectionLimits,
    /// Per HTTP/2 connection.
    pub http2: Http2Limits,
    /// How long an HTTP/1 client may take to send a head; a kept-alive connection is closed after
    /// so much idleness.
    pub header_read_timeout: Duration,
    /// The most headers of one HTTP/1 request.
    pub max_headers: usize,
    /// The most bytes of one HTTP/1 head.
    pub max_head_bytes: usize,
    /// How long a client may pause within a request's body.
    pub body_pause_timeout: Duration,
    /// How long a request's body may take as a whole.
    pub body_timeout: Duration,
    /// How long a client may take to take a large answer that is not a stream. It is given up then: over
    /// HTTP/2 by itself, over HTTP/1 with its connection.
    pub answer_timeout: Duration,
    /// How long a client may take to take what it was told last of an answer without an end, if that is not
    /// large. Over HTTP/1 it ends with its connection, when nothing was taken of that for a while.
    pub message_timeout: Duration,
    /// Bytes of large answers to GET that clients have not taken yet; one more is answered 429.
    pub max_answer_bytes: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: ConnectionLimits { max_arriving: 2_000, ..ConnectionLimits::default() },
            http2: Http2Limits::default(),
            header_read_timeout: Duration::from_secs(30),
            max_headers: HYPER_MAX_HEADERS,
            max_head_bytes: 64 * 1024,
            body_pause_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_mins(1),
            answer_timeout: Duration::from_mins(2),
            message_timeout: MESSAGE_TIMEOUT,
            max_answer_bytes: 256 * 1024 * 1024,
        }
    }
}

/// Serves until the end is asked for, then drains until the life's drain limit is over.
/// Endless answers are expected to end by themselves once `life.soft()` is cancelled.
///
/// `within` makes a layer around every route, inside the one that all servers have. A large answer for
/// which there is no room gets a short text as its refusal, unless that layer holds its place and says
/// it better. The router puts whatever is layered around a route into boxes, so both are put there as
/// one.
pub async fn serve<L>(
    name: &'static str,
    listener: TcpListener,
    router: Router,
    within: impl FnOnce(Room) -> L,
    limits: &HttpLimits,
    metrics: &Metrics,
    life: &Lifecycle,
) where
    L: Layer<Route, Service: RouteService> + Clone + Send + Sync + 'static,
{
    let room = Room::new(limits.max_answer_bytes);
    let edge = EdgeLayer::new(room.clone(), metrics);
    let router = router.layer(Stack::new(within(room.clone()), edge)).with_state(());
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    tracing::info!(server = name, address, "listening for HTTP");
    let meter = metrics.connections.of(name);
    let service_for = |_, traffic: &Traffic| {
        let connection = Arc::new(Connection {
            calls: traffic.calls.clone(),
            arrivals: traffic.arrivals.clone(),
            unsent: traffic.unsent.clone(),
            room: room.clone(),
            body_pause: limits.body_pause_timeout,
            body_total: limits.body_timeout,
            answer_timeout: limits.answer_timeout,
            message_timeout: limits.message_timeout,
        });
        OfConnection { router: router.clone(), connection }
    };
    connections::serve(
        listener,
        |calls| protocol(limits, calls),
        &limits.connections,
        meter,
        life,
        service_for,
    )
    .await;
    tracing::info!(server = name, "closed");
}

/// What a router can have around its routes.
pub trait RouteService:
    Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> RouteService for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The most headers that hyper takes if it is not told. For these it has room at hand; for any other
/// number it makes room anew with each request.
const HYPER_MAX_HEADERS: usize = 100;

fn protocol(limits: &HttpLimits, calls: Calls) -> Builder<Calls> {
    let mut builder = Builder::new(calls);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_buf_size(limits.max_head_bytes);
    if limits.max_headers != HYPER_MAX_HEADERS {
        builder.http1().max_headers(limits.max_headers);
    }
    limits.http2.apply_to(&mut builder.http2());
    builder.http2().timer(TokioTimer::new());
    builder
}
