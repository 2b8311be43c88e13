//! A gRPC server with every limit set: one edge around the routes, health and reflection beside
//! them, a bounded drain at the end.

mod dispatch;
pub mod edge;
mod framed;
mod health;
mod limits;
mod reflection;
pub mod refusal;

use std::convert::Infallible;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{rt::TokioTimer, server::conn::auto::Builder};
use tokio::net::TcpListener;
use tonic::{body::Body, codec::CompressionEncoding, server::NamedService, service::RoutesBuilder};
use tower::Service;

pub(crate) use self::limits::MESSAGE_TIMEOUT;
use self::{
    dispatch::Dispatch,
    edge::{EdgeLayer, RequestBody},
};
pub use self::{
    framed::{FRAME_BYTES, Framed},
    health::Health,
    limits::{CallLimits, GrpcLimits, Http2Limits},
    reflection::{Method, methods},
};
use crate::{calls::Calls, connections, metrics::Metrics, shutdown::Lifecycle};

/// The encodings that every service accepts and answers in.
pub const ENCODINGS: [CompressionEncoding; 2] =
    [CompressionEncoding::Gzip, CompressionEncoding::Zstd];

/// The largest question about the server itself, which names a service, a symbol or a file. A stream keeps
/// room for the largest message that it has had, unpacked, and how many streams are open is bounded by
/// connections alone.
const MAX_QUESTION_BYTES: usize = 4 << 10;

/// What one gRPC server serves.
#[derive(Debug)]
pub struct GrpcServer<S> {
    /// What the server is called in metrics and logs.
    pub name: &'static str,
    /// The service. Health and reflection are added here.
    pub service: S,
    /// The encoded descriptor set that describes it.
    pub descriptors: &'static [u8],
    /// Whether it serves; set to not serving here when the process shall end.
    pub health: Health,
    /// Where that is which clients ask for here although it is served elsewhere: a part of a sentence.
    pub elsewhere: &'static str,
    /// What it puts up with.
    pub limits: GrpcLimits,
}

/// A server could not be put together.
#[derive(Debug, thiserror::Error)]
#[error("the server {server} cannot be put together")]
pub struct ServeError {
    server: &'static str,
    #[source]
    source: prost::DecodeError,
}

/// Serves until the end is asked for, then drains: clients get GOAWAY, calls in flight may finish until
/// the life's drain limit is over. Streams are expected to end by themselves once `life.soft()` is
/// cancelled. Health says `NOT_SERVING` from when the process begins to leave.
pub async fn serve<S>(
    listener: TcpListener,
    server: GrpcServer<S>,
    metrics: &Metrics,
    life: &Lifecycle,
) -> Result<(), ServeError>
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let GrpcServer { name, service, descriptors, health, elsewhere, limits } = server;
    let cannot = |source| ServeError { server: name, source };
    let described = reflection::Described::new(descriptors, S::NAME).map_err(cannot)?;
    let mut others = RoutesBuilder::default();
    others.add_service(health.service(S::NAME, life.soft().clone()));
    described.add_to(&mut others, life.soft());
    let dispatch = Dispatch { service, others: others.routes().prepare() };

    let edge = EdgeLayer::of_server(limits.calls, described.methods(), metrics, elsewhere);
    let not_serving = {
        let (health, leaving) = (health.clone(), life.leaving().clone());
        async move {
            leaving.cancelled().await;
            health.leave();
        }
    };
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    tracing::info!(server = name, address, "listening for gRPC");
    let accepting = connections::serve(
        listener,
        |calls| protocol(&limits.http2, calls),
        &limits.connections,
        metrics.connections.of(name),
        life,
        |peer, traffic| edge.around(dispatch.clone(), peer, traffic),
    );
    tokio::join!(not_serving, accepting);
    tracing::info!(server = name, "closed");
    Ok(())
}

fn protocol(limits: &Http2Limits, calls: Calls) -> Builder<Calls> {
    let mut builder = Builder::new(calls).http2_only();
    limits.apply_to(&mut builder.http2());
    builder.http2().timer(TokioTimer::new()).auto_date_header(false);
    builder
}
