//! What the gateway's address answers while there is nothing behind it yet: probes, metrics, and that
//! the system is not healthy. All else is told to come again, in a way that web pages which may use
//! the gateway can read.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use configapi_proto::ApiError;
use configapi_runtime::http::admin;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::request_id::RequestId;
use configapi_runtime::shutdown::Lifecycle;
use configapi_runtime::starting::refusal;
use http::request::Parts;
use http::{Method, StatusCode};

use crate::accepts::Format;
use crate::cors::{self, From};
use crate::health::Health;
use crate::hosts::Hosts;
use crate::problem::Problem;
use crate::settings::{GatewayLimits, Origin};
use crate::sse;

/// Where the health of the whole system is asked for, and how.
const HEALTH: [&str; 2] = ["/health", "/v1/health"];
const READS: [Method; 2] = [Method::GET, Method::HEAD];

/// The routes of a gateway on this address that can answer nothing yet, as `ready` says why.
pub fn starting(
    limits: &GatewayLimits,
    address: SocketAddr,
    ready: admin::Ready,
    metrics: &Metrics,
    life: &Lifecycle,
) -> Router {
    let door = Door {
        hosts: Hosts::of(&limits.hosts, Some(address)),
        cors_origins: limits.cors_origins.clone().into(),
    };
    admin::router(metrics, life, ready.clone())
        .fallback(move |asker: Asker| {
            let why = refusal(&ready);
            async move { asker.refused(why) }
        })
        .layer(from_fn_with_state(door, pass))
}

/// Who is let in: those whom the gateway itself will let in.
#[derive(Clone)]
struct Door {
    hosts: Hosts,
    cors_origins: Arc<[Origin]>,
}

async fn pass(State(door): State<Door>, asker: Asker, request: Request, next: Next) -> Response {
    let from = From::of(request.headers(), request.uri(), &door.cors_origins);
    let asked_before = cors::is_preflight(request.method(), request.headers());
    let mut response = match door.hosts.check(&request) {
        Err(problem) => asker.told(&problem),
        // A browser that is refused here would not let its page see why.
        Ok(()) if asked_before => StatusCode::NO_CONTENT.into_response(),
        Ok(()) => next.run(request).await,
    };
    from.tell(asked_before, &mut response);
    response
}

/// Who asked, as far as a refusal depends on it.
struct Asker {
    format: Format,
    event_source: bool,
    for_health: bool,
    request_id: Option<RequestId>,
}

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(request: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let Parts { method, uri, headers, .. } = &*request;
        Ok(Self {
            format: Format::wanted_by(headers),
            event_source: sse::is_event_source(method, uri, headers),
            for_health: READS.contains(method) && HEALTH.contains(&uri.path()),
            request_id: request.extensions.get::<RequestId>().cloned(),
        })
    }
}

impl Asker {
    /// Those who ask for the health are told of it as ever.
    fn refused(&self, why: ApiError) -> Response {
        if !self.for_health {
            return self.told(&why.into());
        }
        Health::of_none(&why.message).answer().unwrap_or_else(|problem| self.told(&problem))
    }

    fn told(&self, problem: &Problem) -> Response {
        let request_id = self.request_id.as_ref().map(RequestId::as_str).unwrap_or_default();
        if self.event_source
            && let Some(told) = sse::refusal(problem, request_id)
        {
            return told;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = problem.status();
        problem.worded(response, self.format, request_id)
    }
}
