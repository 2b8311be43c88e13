//! The one layer around every HTTP request: request id, slow senders, panics, metrics and the log
//! line of a failure. Paths and queries are never logged or counted as they came, only as the route
//! they matched.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use http::{HeaderValue, Method, StatusCode, header::CONNECTION};
use http_body::Body as _;

use super::{HttpLimits, paced::Paced};
use crate::{
    metrics::{HttpFamilies, HttpLabels, Metrics, RouteLabels, seconds},
    request_id::{REQUEST_ID, RequestId},
    trace::{self, Span, TRACEPARENT},
};

const NO_ROUTE: &str = "none";
/// What probes and scrapers ask all the time; it would drown the rest of the traces.
const NOT_TRACED: [&str; 4] = ["/livez", "/readyz", "/metrics", "/v1/health"];

#[derive(Debug)]
pub(super) struct Edge {
    families: HttpFamilies,
    body_pause: Duration,
    body_total: Duration,
}

impl Edge {
    pub fn new(limits: &HttpLimits, metrics: &Metrics) -> Self {
        Self {
            families: metrics.http.clone(),
            body_pause: limits.body_pause_timeout,
            body_total: limits.body_timeout,
        }
    }

    /// The request with a body that must keep coming; the flag tells later whether it did not.
    fn paced(&self, request: Request) -> (Request, Arc<AtomicBool>) {
        let too_slow = Arc::new(AtomicBool::new(false));
        if request.body().is_end_stream() {
            return (request, too_slow);
        }
        let flag = Arc::clone(&too_slow);
        let pace = |body| Body::new(Paced::new(body, self.body_pause, self.body_total, flag));
        (request.map(pace), too_slow)
    }

    fn count(&self, route: RouteLabels, status: StatusCode, took: Duration) {
        self.families.latency.get_or_create(&route).observe(seconds(took));
        let RouteLabels { method, route } = route;
        let labels = HttpLabels { method, route, status: status.as_u16() };
        self.families.handled.get_or_create(&labels).inc();
    }
}

pub(super) async fn around(
    State(edge): State<Arc<Edge>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let route = RouteLabels {
        method: method_label(request.method()),
        route: request
            .extensions()
            .get::<MatchedPath>()
            .map_or(NO_ROUTE, MatchedPath::as_str)
            .into(),
    };
    let request_id = RequestId::sent_in(request.headers()).unwrap_or_else(RequestId::generate);
    request.extensions_mut().insert(request_id.clone());
    let span = begin_span(&mut request, &route);

    let (request, too_slow) = edge.paced(request);
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = match answered {
        Ok(_) if too_slow.load(Ordering::Relaxed) => request_timeout(),
        Ok(response) => response,
        Err(_panic) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    response.headers_mut().insert(REQUEST_ID, request_id.as_header().clone());

    let (status, took) = (response.status(), started.elapsed());
    if let Some(mut span) = span {
        span.set("http.response.status_code", i64::from(status.as_u16()));
        span.end(status.is_server_error());
    }
    log(&route, status, took, &request_id);
    edge.count(route, status, took);
    response
}

/// A span of a request, which from here on travels as the request's own trace.
fn begin_span(request: &mut Request, route: &RouteLabels) -> Option<Span> {
    if !trace::is_on() || NOT_TRACED.contains(&&*route.route) {
        return None;
    }
    let parent = trace::sent_in(request.headers()).and_then(|sent| sent.to_str().ok());
    let mut span = trace::server(|| format!("{} {}", route.method, route.route), parent)?;
    span.set("http.request.method", route.method);
    span.set("http.route", Arc::clone(&route.route));
    if let Some(traceparent) = span.traceparent() {
        request.headers_mut().insert(TRACEPARENT, traceparent);
    }
    Some(span)
}

/// The rest of the body may still come some day, so the connection is of no more use.
fn request_timeout() -> Response {
    let mut response = StatusCode::REQUEST_TIMEOUT.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn log(route: &RouteLabels, status: StatusCode, took: Duration, request_id: &RequestId) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                method = route.method,
                route = &*route.route,
                status = status.as_u16(),
                duration_ms = seconds(took) * 1_000.0,
                request_id = request_id.as_str(),
                "request failed"
            )
        };
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => line!(warn),
        status if status.is_server_error() => line!(error),
        status if status.is_client_error() => line!(debug),
        _ => {}
    }
}

/// A method that anybody can make up is no label.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
