//! The one layer around every route: request id, shedding, host names and web origins, panics, and the
//! wording of problems.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use configapi_proto::{ApiError, Reason};
use configapi_runtime::http::{Caught, OneOfMany, Room};
use configapi_runtime::request_id::RequestId;
use http::{Method, StatusCode, Uri};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tokio::sync::OwnedSemaphorePermit;
use tower::{Layer, Service};

use crate::accepts::Format;
use crate::app::App;
use crate::cors::{self, From};
use crate::hosts::Hosts;
use crate::problem::{Code, Problem};
use crate::sse;

/// Probes must be answered however busy the gateway is.
const NEVER_SHED: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Goes with a request that has no place yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotAdmitted {
    pub is_one_of_many: bool,
}

/// Puts the edge around each route.
#[derive(Debug, Clone)]
pub(crate) struct EdgeLayer {
    app: App,
    hosts: Hosts,
    room: Room,
}

impl EdgeLayer {
    /// For a gateway that answers to these names, and has this room for large answers.
    pub fn new(app: App, hosts: Hosts, room: Room) -> Self {
        Self { app, hosts, room }
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        let Self { app, hosts, room } = self.clone();
        Edge { inner, app, hosts, room }
    }
}

/// The edge around one route. It lies on the hot path, so it is one future without a box.
#[derive(Debug, Clone)]
pub(crate) struct Edge<S> {
    inner: S,
    app: App,
    hosts: Hosts,
    room: Room,
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
        let format = Format::wanted_by(request.headers());
        // The server around the gateway has named it.
        let known = request.extensions().get::<RequestId>().cloned();
        let request_id = known.unwrap_or_else(|| {
            let new = RequestId::sent_in(request.headers()).unwrap_or_else(RequestId::generate);
            request.extensions_mut().insert(new.clone());
            new
        });
        request.extensions_mut().insert(format);
        let from = From::of(request.headers(), request.uri(), &self.app.limits.cors_origins);
        let asked_before = cors::is_preflight(request.method(), request.headers());
        let event_source = sse::is_event_source(request.method(), request.uri(), request.headers());
        let (method, room) = (request.method().clone(), self.room.clone());
        let is_admitted = self.admit(&from, &request);
        if matches!(is_admitted, Ok(None)) {
            let is_one_of_many = is_one_of_many(&request);
            request.extensions_mut().insert(NotAdmitted { is_one_of_many });
        }
        let (stage, place) = match is_admitted {
            Ok(place) => {
                (Stage::Handling { handling: Caught::begin(|| self.inner.call(request)) }, place)
            }
            Err(problem) => (Stage::Refused { problem: Some(problem) }, None),
        };
        let asker =
            Asker { method, format, event_source, request_id, from, asked_before, place, room };
        EdgeFuture { stage, asker: Some(asker) }
    }
}

impl<S> Edge<S> {
    /// The place of a request that may be handled. One whose body is still to come gets it with the body,
    /// so that nobody holds a place by sending nothing.
    fn admit(
        &self,
        from: &From,
        request: &Request,
    ) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        self.hosts.check(request)?;
        if !from.may(request.method()) {
            let detail = "the operator of this gateway has not allowed this web origin";
            return Err(Problem::http(Code::OriginNotAllowed, detail));
        }
        let has_body = matches!(*request.method(), Method::PUT | Method::POST | Method::DELETE)
            && !request.body().is_end_stream();
        if has_body || NEVER_SHED.contains(&request.uri().path()) {
            return Ok(None);
        }
        self.app.admit(is_one_of_many(request)).map(Some)
    }
}

fn is_one_of_many(request: &Request) -> bool {
    request.extensions().get::<OneOfMany>().is_some()
}

pin_project! {
    /// The answer to one request.
    pub(crate) struct EdgeFuture<F> {
        #[pin]
        stage: Stage<F>,
        // None once it was answered.
        asker: Option<Asker>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F> {
        Handling { #[pin] handling: Caught<F> },
        // Without the handler.
        Refused { problem: Option<Problem> },
    }
}

impl<F> Future for EdgeFuture<F>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = match this.stage.project() {
            StageProjection::Refused { problem } => problem.take().map(Problem::into_response),
            StageProjection::Handling { handling } => {
                let said = ready!(handling.poll(context));
                Some(said.unwrap_or_else(|| Problem::from(Reason::Internal).into_response()))
            }
        };
        match (answer, this.asker.take()) {
            (Some(answer), Some(asker)) => Poll::Ready(Ok(asker.answered(answer))),
            // Polled after it was done, which futures may answer as they like.
            _ => Poll::Pending,
        }
    }
}

/// Who asked, as far as the answer depends on it.
struct Asker {
    method: Method,
    format: Format,
    event_source: bool,
    request_id: RequestId,
    from: From,
    asked_before: bool,
    place: Option<OwnedSemaphorePermit>,
    room: Room,
}

impl Asker {
    /// The answer as this client wants it.
    fn answered(self, mut response: Response) -> Response {
        drop(self.place);
        if self.room.hold(&self.method, &mut response).is_err() {
            response = no_room().into_response();
        }
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            let request_id = self.request_id.as_str();
            let told = if self.event_source { sse::refusal(&problem, request_id) } else { None };
            response = told.unwrap_or_else(|| problem.worded(response, self.format, request_id));
        }
        self.from.tell(self.asked_before, &mut response);
        response
    }
}

/// The answer that takes the place of a large one.
fn no_room() -> Problem {
    let detail =
        "clients have yet to take as many bytes of answers as the gateway holds; try again later";
    ApiError::new(Reason::LimitExceeded, detail).into()
}

/// The answer where there is nothing. A name whose slashes were not encoded ends up here too, and
/// so does one that tries to climb.
pub(crate) async fn no_such_route(uri: Uri) -> Problem {
    let mut segments = uri.path().split('/');
    if segments.any(|segment| matches!(segment, "." | "..")) {
        let error = ApiError::invalid("path", "must not have . or .. segments");
        return error.into();
    }
    let hint = if uri.path().contains("/config/") {
        "there is nothing at this path; a / within a name travels as %2F"
    } else {
        Code::NoSuchRoute.title()
    };
    Problem::http(Code::NoSuchRoute, hint)
}

/// The answer to a method that a path does not have. The router adds `Allow`.
pub(crate) async fn no_such_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::http(Code::MethodNotAllowed, Code::MethodNotAllowed.title()).into_response()
}
