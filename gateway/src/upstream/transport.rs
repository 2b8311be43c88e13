//! How calls travel: over a channel to a server elsewhere, or straight into a service of this
//! process.

use std::convert::Infallible;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use configapi_runtime::grpc::edge::EdgeLayer;
use http::{Request, Response};
use tonic::body::Body;
use tonic::transport::Channel;
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

    fn call(&mut self, request: Request<Body>) -> Answering {
        match self {
            Self::Remote(channel) => {
                let answering = channel.call(request);
                Box::pin(async move { answering.await.map_err(Into::into) })
            }
            Self::Local(service) => service.call(request),
        }
    }
}
