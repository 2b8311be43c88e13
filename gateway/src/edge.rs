//! The one layer around every route: request id, shedding, web origins, panics, and the wording of
//! problems.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use configapi_proto::Reason;
use configapi_runtime::request_id::RequestId;
use futures_util::FutureExt as _;
use http::{Method, StatusCode, Uri};

use crate::accepts::Format;
use crate::app::App;
use crate::cors::{self, From};
use crate::problem::{Code, Problem};

/// Probes must be answered however busy the gateway is.
const NEVER_SHED: [&str; 3] = ["/livez", "/readyz", "/metrics"];

pub(crate) async fn around(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let format = Format::wanted_by(request.headers());
    let request_id = match request.extensions().get::<RequestId>() {
        Some(known) => known.clone(),
        None => RequestId::sent_in(request.headers()).unwrap_or_else(RequestId::generate),
    };
    request.extensions_mut().insert(request_id.clone());
    request.extensions_mut().insert(format);
    let from = From::of(request.headers(), request.uri(), &app.limits.cors_origins);
    let asked_before = cors::is_preflight(request.method(), request.headers());

    let mut response = handled(&app, &from, request, next).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.worded(response, format, request_id.as_str());
    }
    from.tell(asked_before, &mut response);
    response
}

async fn handled(app: &App, from: &From, request: Request, next: Next) -> Response {
    if !from.may(request.method()) {
        let detail = "the operator of this gateway has not allowed this web origin";
        return Problem::http(Code::OriginNotAllowed, detail).into_response();
    }
    // Held until the answer begins; long answers are bounded by their connections.
    let place = app.requests.try_acquire();
    if place.is_err() && !NEVER_SHED.contains(&request.uri().path()) {
        app.meter.requests_shed.inc();
        return Problem::from(Reason::LimitExceeded).into_response();
    }
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_panic) => Problem::from(Reason::Internal).into_response(),
    }
}

/// The answer where there is nothing. A name whose slashes were not encoded ends up here too, and
/// so does one that tries to climb.
pub(crate) async fn no_such_route(uri: Uri) -> Problem {
    let mut segments = uri.path().split('/');
    if segments.any(|segment| matches!(segment, "." | "..")) {
        let error = configapi_proto::ApiError::invalid("path", "must not have . or .. segments");
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
