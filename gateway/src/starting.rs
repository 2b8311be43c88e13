//! What the gateway's address answers while there is nothing behind it yet: probes and metrics. All
//! else is told to come again, at once: a client that waits for an answer cannot tell a server that
//! starts from one that hangs.

use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use configapi_proto::{ApiError, Reason};
use configapi_runtime::connections::ConnectionLimits;
use configapi_runtime::http::{HttpLimits, admin, serve};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::request_id::RequestId;
use configapi_runtime::shutdown::Lifecycle;
use http::request::Parts;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tower::layer::util::Identity;

use crate::accepts::Format;
use crate::hosts::Hosts;
use crate::problem::Problem;
use crate::settings::GatewayLimits;

/// Enough for probes, and for clients that are told to come again.
const MAX_CONNECTIONS: usize = 100;
/// How long answers that were begun may take once the gateway itself is there.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// Answers on the gateway's address until it is dropped.
pub struct Starting {
    life: Lifecycle,
}

impl Starting {
    /// Tells there why nothing can be answered yet, as `ready` says it.
    pub fn serve(
        listener: TcpListener,
        limits: &GatewayLimits,
        ready: admin::Ready,
        metrics: &Metrics,
        life: &Lifecycle,
    ) -> Self {
        let own = Lifecycle::new(DRAIN_LIMIT);
        let hosts = Hosts::of(&limits.hosts, listener.local_addr().ok());
        let probes = admin::router(metrics, life, ready.clone());
        let router = probes
            .fallback(move |asker: Asker| {
                let why = ready().err().unwrap_or_else(|| "the server has just started".to_owned());
                async move { asker.told(&ApiError::new(Reason::Unavailable, why).into()) }
            })
            .layer(from_fn_with_state(hosts, only_for_known_hosts));
        let server = answer(listener, router, own.clone(), life.clone());
        life.spawn(server);
        Self { life: own }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.life.soft().cancel();
    }
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").finish_non_exhaustive()
    }
}

async fn answer(listener: TcpListener, router: axum::Router, own: Lifecycle, process: Lifecycle) {
    let connections =
        ConnectionLimits { max_connections: MAX_CONNECTIONS, ..ConnectionLimits::default() };
    let limits = HttpLimits { connections, ..HttpLimits::default() };
    // The gateway counts what it is asked, under the same names; this is not it yet.
    let uncounted = Metrics::new("starting", "");
    let server =
        serve("starting", listener, router, |_| Identity::new(), &limits, &uncounted, &own);
    let mut server = pin!(server);
    tokio::select! {
        () = &mut server => return,
        () = own.soft().cancelled() => {}
        () = process.soft().cancelled() => own.soft().cancel(),
    }
    if timeout(own.drain_limit(), server).await.is_err() {
        own.hard().cancel();
    }
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
