//! What operators and tools ask: health, status, and what this API is.

use axum::extract::State;
use axum::response::Response;
use configapi_proto::v1::GetStatusRequest;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use serde::Deserialize;
use utoipa::IntoParams;

use super::params::{FreshnessHeaders, FreshnessParams};
use crate::answers::StatusView;
use crate::app::{Answer, App};
use crate::asked::{Asked, Params, flag};
use crate::health::{self, Health};
use crate::json::{self, JSON, with_type};
use crate::query::Parameters;
use crate::routes::Flag;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// The page needs nothing but itself.
const ONLY_ITSELF: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");

/// Check the health of the whole system
///
/// Asks the command server and a query server, now.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "operations",
    responses(
        (status = 200, description = "All checks are healthy", body = Health),
        (status = 503, description = "At least one is not", body = Health, headers(
            ("Retry-After" = u64, description = "After how many seconds to come again"),
        )),
    ),
)]
pub(crate) async fn health(State(app): State<App>, asked: Asked) -> Answer {
    health::check(&app, asked).await.answer()
}

/// What to tell.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatusParams {
    /// Also tell a digest of all that the server holds, which takes longer.
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<Flag>, inline)]
    state_hash: bool,
}

impl Parameters for StatusParams {
    const KNOWN: Option<&'static [&'static str]> = Some(&["state_hash", "consistency"]);
}

/// Ask how a query server is doing
///
/// How far it has read the log, and what it holds.
#[utoipa::path(
    get,
    path = "/status",
    operation_id = "status",
    tag = "operations",
    params(StatusParams, FreshnessParams, FreshnessHeaders),
    responses(
        (status = 200, description = "How it is doing", body = StatusView<'static>),
        (status = 409, description = "The token belongs to a log that is gone: `LOG_CHANGED`"),
    ),
)]
pub(crate) async fn status(
    State(app): State<App>,
    Params(params): Params<StatusParams>,
    asked: Asked,
) -> Answer {
    let query = GetStatusRequest { with_state_hash: params.state_hash, consistency: None };
    let status = app.ask(&asked, query).await?;
    let mut response = json::json(&StatusView::of(&status))?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Get this description
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "operations",
    responses(
        (status = 200, description = "An OpenAPI 3.1 document", body = serde_json::Value),
    ),
)]
pub(crate) async fn openapi(State(app): State<App>) -> Response {
    with_type(JSON, app.documents.openapi.clone())
}

/// Read this description as a page
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "docs",
    tag = "operations",
    responses(
        (status = 200, description = "A page", body = String, content_type = "text/html"),
    ),
)]
pub(crate) async fn docs(State(app): State<App>) -> Response {
    let mut response = with_type(HTML, app.documents.page.clone());
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, ONLY_ITSELF);
    response
}
