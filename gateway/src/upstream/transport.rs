//! How calls travel: over a channel to a server elsewhere, or straight into a service of this
//! process.

use std::convert::Infallible;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use configapi_runtime::grpc::edge::EdgeLayer;
use configapi_runtime::trace::{self, Span, TRACEPARENT};
use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

type BoxError = Box<dyn Error + Send + Sync>;
type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

/// Where calls within this process seem to come from.
const THIS_PROCESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A generated server, such as `CommandServiceServer`.
pub trait GrpcServer:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> GrpcServer for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// One way to one server. Clones are the same way.
#[derive(Clone)]
pub(crate) enum Transport {
    Remote(Channel),
    Local(BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>),
}

impl Transport {
    pub fn remote(channel: Channel) -> Self {
        Self::Remote(channel)
    }

    pub fn local<S>(server: S, edge: &EdgeLayer) -> Self
    where
        S: GrpcServer,
        S::Future: Send,
    {
        let service = edge
            .around(server, THIS_PROCESS)
            .map_response(|response: Response<_>| response.map(Body::new))
            .map_err(|never: Infallible| match never {});
        Self::Local(BoxCloneSyncService::new(service))
    }

    /// Whether the server may go away without this process.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Remote(channel) => channel.poll_ready(context).map_err(Into::into),
            Self::Local(service) => service.poll_ready(context),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> Answering {
        if let Some(span) = begin_span(&mut request) {
            let answering = self.send(request);
            return Box::pin(async move {
                let answer = answering.await;
                span.end_call(code_of(&answer), false);
                answer
            });
        }
        self.send(request)
    }
}

impl Transport {
    fn send(&mut self, request: Request<Body>) -> Answering {
        match self {
            Self::Remote(channel) => {
                let answering = channel.call(request);
                Box::pin(async move { answering.await.map_err(Into::into) })
            }
            Self::Local(service) => service.call(request),
        }
    }
}

/// A span of a call, within which the server does what it does.
fn begin_span(request: &mut Request<Body>) -> Option<Span> {
    let parent = trace::sent_in(request.headers()).and_then(|sent| sent.to_str().ok());
    // Ours are the only paths that come here.
    let name = || request.uri().path().trim_start_matches('/').to_owned();
    let mut span = trace::client(name, parent)?;
    span.set("rpc.system", "grpc");
    if let Some(traceparent) = span.traceparent() {
        request.headers_mut().insert(TRACEPARENT, traceparent);
    }
    Some(span)
}

/// How a call went, as far as the head of its answer tells: failures are told there.
fn code_of(answer: &Result<Response<Body>, BoxError>) -> Code {
    let told = |headers: &HeaderMap| Status::from_header_map(headers).map(|status| status.code());
    answer.as_ref().map_or(Code::Unavailable, |answer| told(answer.headers()).unwrap_or(Code::Ok))
}
