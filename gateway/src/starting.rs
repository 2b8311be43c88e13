//! What the gateway's address answers while there is nothing behind it yet: probes and metrics. All
//! else is told to come again.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use configapi_runtime::http::admin;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::request_id::RequestId;
use configapi_runtime::shutdown::Lifecycle;
use configapi_runtime::starting::refusal;
use http::request::Parts;

use crate::accepts::Format;
use crate::hosts::Hosts;
use crate::problem::Problem;
use crate::settings::GatewayLimits;

/// The routes of a gateway on this address that can answer nothing yet, as `ready` says why.
pub fn starting(
    limits: &GatewayLimits,
    address: SocketAddr,
    ready: admin::Ready,
    metrics: &Metrics,
    life: &Lifecycle,
) -> Router {
    let hosts = Hosts::of(&limits.hosts, Some(address));
    admin::router(metrics, life, ready.clone())
        .fallback(move |asker: Asker| {
            let problem = Problem::from(refusal(&ready));
            async move { asker.told(&problem) }
        })
        .layer(from_fn_with_state(hosts, only_for_known_hosts))
}

async fn only_for_known_hosts(
    State(hosts): State<Hosts>,
    asker: Asker,
    request: Request,
    next: Next,
) -> Response {
    match hosts.check(request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(problem) => asker.told(&problem),
    }
}

/// Who asked, as far as a refusal depends on it.
struct Asker {
    format: Format,
    request_id: Option<RequestId>,
}

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(request: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let request_id = request.extensions.get::<RequestId>().cloned();
        Ok(Self { format: Format::wanted_by(&request.headers), request_id })
    }
}

impl Asker {
    fn told(&self, problem: &Problem) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = problem.status();
        let request_id = self.request_id.as_ref().map(RequestId::as_str).unwrap_or_default();
        problem.worded(response, self.format, request_id)
    }
}
