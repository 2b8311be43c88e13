//! The one layer around every HTTP request: request id, the word to slow senders, panics, metrics and the log
//! line, of failures only unless all are asked for. Paths and queries are never logged or counted as they came,
//! only as the route they matched. It lies on the hot path, so it is one future without a box.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request},
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderValue, Method, StatusCode,
    header::{CONNECTION, RETRY_AFTER},
};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Caught, Room, paced::Sender};
use crate::{
    budget::Full,
    metrics::{HttpFamilies, HttpLabels, Metrics, seconds},
    request_id::{REQUEST_ID, RequestId},
    trace::{self, Span, TRACEPARENT},
};

const NO_ROUTE: &str = "none";
/// What is counted of a request whose client left before its answer began, which no client ever sees. Others
/// call it so too.
const CLIENT_LEFT: u16 = 499;
/// What probes and scrapers ask all the time; it would drown the rest of the traces.
const NOT_TRACED: [&str; 4] = ["/livez", "/readyz", "/metrics", "/v1/health"];

/// Makes the edge around each route of one server.
#[derive(Debug, Clone)]
pub(super) struct EdgeLayer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    families: HttpFamilies,
    room: Room,
}

impl EdgeLayer {
    pub fn new(room: Room, metrics: &Metrics) -> Self {
        Self(Arc::new(Shared { families: metrics.http.clone(), room }))
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner, shared: Arc::clone(&self.0) }
    }
}

/// The edge around one route.
#[derive(Debug, Clone)]
pub(super) struct Edge<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request> for Edge<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = EdgeFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let started = Instant::now();
        let (method, route) = (request.method().clone(), route_of(&request));
        let request_id = RequestId::sent_in(request.headers()).unwrap_or_else(RequestId::generate);
        request.extensions_mut().insert(request_id.clone());
        let span = begin_span(&mut request, &route);
        let traceparent = trace::sent_in(request.headers()).cloned();
        let sender = request.extensions_mut().remove();
        let handling = Caught::begin(|| self.inner.call(request));
        let shared = Arc::clone(&self.shared);
        let watch = Watch {
            shared,
            started,
            method,
            route,
            request_id,
            span,
            traceparent,
            sender,
            is_answered: false,
        };
        EdgeFuture { handling, watch: Some(watch) }
    }
}

pin_project! {
    /// The answer to one request.
    pub(super) struct EdgeFuture<F> {
        #[pin]
        handling: Caught<F>,
        // None once it was answered.
        watch: Option<Watch>,
    }
}

impl<F> Future for EdgeFuture<F>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = ready!(this.handling.poll(context));
        match this.watch.take() {
            Some(watch) => Poll::Ready(Ok(watch.end(answered))),
            // Polled after it was done, which futures may answer as they like.
            None => Poll::Pending,
        }
    }
}

/// What a request matched, in names that are ours.
#[derive(Debug)]
struct Route {
    method: &'static str,
    route: Arc<str>,
}

/// Watches one request from its arrival to its answer.
#[derive(Debug)]
struct Watch {
    shared: Arc<Shared>,
    started: Instant,
    method: Method,
    route: Route,
    request_id: RequestId,
    span: Option<Span>,
    /// Of what is done for the request: its span's, if traces are on, or else the one that it sent.
    traceparent: Option<HeaderValue>,
    /// Of a body that was not there at once.
    sender: Option<Sender>,
    is_answered: bool,
}

/// The status that an answer stands for, where its client would make nothing of that one: what is
/// counted and logged.
#[derive(Debug, Clone, Copy)]
pub struct StandsFor(pub StatusCode);

impl Watch {
    /// The answer as the client gets it; none was made if the handler panicked.
    fn end(mut self, answered: Option<Response>) -> Response {
        self.is_answered = true;
        let has_sender = |is: fn(&Sender) -> bool| self.sender.as_ref().is_some_and(is);
        let mut response = match answered {
            Some(response) if has_sender(Sender::was_too_slow) => request_timeout(response),
            Some(response) if has_sender(Sender::was_one_too_many) => one_too_many(response),
            Some(mut response) => match self.shared.room.hold(&self.method, &mut response) {
                Ok(()) => response,
                Err(Full) => too_many_requests(),
            },
            None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        response.headers_mut().insert(REQUEST_ID, self.request_id.as_header().clone());

        let stands_for = response.extensions().get::<StandsFor>();
        let status = stands_for.map_or(response.status(), |StandsFor(status)| *status);
        let took = self.started.elapsed();
        if let Some(mut span) = self.span.take() {
            span.set("http.response.status_code", i64::from(status.as_u16()));
            span.end(status.is_server_error());
        }
        log(&self.route, status, took, &self.request_id, self.traceparent.as_ref());
        self.shared.count(&self.route, status.as_u16(), took);
        response
    }
}

impl Drop for Watch {
    /// Dropped in the middle: the client went away, or the server had no more time.
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        if let Some(span) = self.span.take() {
            span.end(false);
        }
        let took = self.started.elapsed();
        tracing::debug!(
            method = self.route.method,
            route = &*self.route.route,
            duration_ms = seconds(took) * 1_000.0,
            request_id = self.request_id.as_str(),
            "a client left before its answer"
        );
        self.shared.count(&self.route, CLIENT_LEFT, took);
    }
}

impl Shared {
    fn count(&self, route: &Route, status: u16, took: Duration) {
        let labels = HttpLabels { method: route.method, route: Arc::clone(&route.route), status };
        self.families.latency.get_or_create(&labels).observe(seconds(took));
        self.families.handled.get_or_create(&labels).inc();
    }
}

fn route_of(request: &Request) -> Route {
    let path = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str);
    Route { method: method_label(request.method()), route: path.into() }
}

/// A span of a request, which from here on travels as the request's own trace.
fn begin_span(request: &mut Request, route: &Route) -> Option<Span> {
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

/// The answer to a sender that was too slow, in the handler's words if it noticed. The rest of the body
/// may still come some day, so the connection is of no more use.
fn request_timeout(said: Response) -> Response {
    let mut response = match said.status() {
        StatusCode::REQUEST_TIMEOUT => said,
        _ => StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer to a sender for whom there was no place, in the handler's words if it noticed.
fn one_too_many(said: Response) -> Response {
    match said.status() {
        StatusCode::TOO_MANY_REQUESTS => said,
        _ => too_many_requests(),
    }
}

/// Clients have yet to take as many bytes of answers as allowed.
fn too_many_requests() -> Response {
    let mut response = (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests").into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn log(
    route: &Route,
    status: StatusCode,
    took: Duration,
    request_id: &RequestId,
    traceparent: Option<&HeaderValue>,
) {
    let trace_id = || traceparent?.to_str().ok()?.get(3..35);
    macro_rules! line {
        ($level:ident) => {
            line!($level, "request failed")
        };
        ($level:ident, $what:literal) => {
            tracing::$level!(
                method = route.method,
                route = &*route.route,
                status = status.as_u16(),
                duration_ms = seconds(took) * 1_000.0,
                request_id = request_id.as_str(),
                trace_id = trace_id(),
                $what
            )
        };
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => line!(warn),
        status if status.is_server_error() => line!(error),
        status if status.is_client_error() => line!(debug),
        _ => line!(trace, "request answered"),
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
