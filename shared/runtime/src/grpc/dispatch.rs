//! Finds the service of a call. Nearly all calls are for one service, and on their way to it a router
//! would cost a sixth of a small read: it is told by its path alone, and only what is left over is
//! routed.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::{body::Body, server::NamedService, service::Routes};
use tower::Service;

use super::edge::RequestBody;

/// One service, and the routes to all others.
#[derive(Debug, Clone)]
pub(super) struct Dispatch<S> {
    pub service: S,
    pub others: Routes,
}

impl<S> Service<Request<RequestBody<Incoming>>> for Dispatch<S>
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<Body>, Error = Infallible>
        + NamedService,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, <Routes as Service<Request<RequestBody<Incoming>>>>::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody<Incoming>>) -> Self::Future {
        if is_of(S::NAME, request.uri().path()) {
            Either::Left(self.service.call(request))
        } else {
            Either::Right(self.others.call(request))
        }
    }
}

/// Whether a path is `/service/…`. Which methods there are is for the service to say.
fn is_of(service: &str, path: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(service));
    rest.is_some_and(|rest| rest.starts_with('/'))
}
