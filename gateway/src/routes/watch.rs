//! Changes as they happen, as server-sent events.

use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use configapi_proto::v1::WatchRequest;
use configapi_proto::v1::point_in_time::Moment as WireMoment;
use configapi_proto::v1::watch_request::{InitialState, Selection, Start};
use configapi_proto::{ApiError, Reason, key};
use configapi_runtime::http::Endless;
use configapi_runtime::metrics::prometheus_client::metrics::gauge::Gauge;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use utoipa::IntoParams;

use super::params::{FreshnessHeaders, FreshnessParams, Moment, Name, TokenText};
use crate::app::{Answer, App};
use crate::asked::{Asked, Params, flag, invalid_header, only};
use crate::moment::point;
use crate::problem::Problem;
use crate::query::Parameters;
use crate::routes::Flag;
use crate::sse;
use crate::target::Target;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// What replacements of the browsers' own client say it in.
const LAST_EVENT: &str = "lastEventId";

/// What to watch, and from where on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WatchParams {
    /// Only this config. It need not exist yet.
    #[param(value_type = Option<Name>, inline)]
    name: Option<String>,
    /// Only configs whose names begin with this text. Does not go with `name`.
    #[param(max_length = 256, pattern = "^[A-Za-z0-9_./-]*$")]
    prefix: Option<String>,
    /// Begin after this token, position or time; 0 means all of history. Without it, now.
    #[param(value_type = Option<Moment>, inline)]
    after: Option<String>,
    /// Begin with the configs as they are. Does not go with `after`.
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<Flag>, inline)]
    initial: bool,
    /// The same as the header `Last-Event-ID`, for clients that cannot set one. The header is newer
    /// where both are said: a client that comes back repeats its URL.
    #[serde(rename = "lastEventId")]
    #[param(rename = "lastEventId", value_type = Option<TokenText>, inline)]
    last_event_id: Option<String>,
}

impl Parameters for WatchParams {
    const KNOWN: Option<&'static [&'static str]> =
        Some(&["name", "prefix", "after", "initial", LAST_EVENT, "consistency", "namespace"]);
}

/// Where to go on.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `start` reads")]
pub(crate) struct ResumeHeader {
    /// The id of the last event received: go on after it. Goes before `after` and `initial`.
    #[param(rename = "Last-Event-ID", value_type = Option<TokenText>, inline)]
    last_event_id: Option<String>,
}

/// Watch configs
///
/// Server-sent events: `started`, then with `initial` a `config` for each config and `complete`,
/// then a `change` for each change, and `progress` at least every 10 seconds. A `problem` is the
/// last. A `change` without an id belongs to an Apply of which more comes; a client that comes back
/// with `Last-Event-ID` goes on exactly after it. `namespace=*` watches all namespaces.
///
/// A client whose `Accept` names `text/event-stream` is told of a refusal that passes (`UNAVAILABLE`,
/// `LIMIT_EXCEEDED`) by 200, `retry` and a `problem`: after any other status browsers do not come back.
#[utoipa::path(
    get,
    path = "/watch",
    operation_id = "watch",
    tag = "configs",
    params(WatchParams, FreshnessParams, FreshnessHeaders, ResumeHeader),
    responses(
        (status = 200, description = "The events; of a refusal that passes only a `problem`, if \
            `Accept` names `text/event-stream`", body = String,
            content_type = "text/event-stream"),
        (status = 409, description = "The token belongs to a log that is gone: `LOG_CHANGED`"),
        (status = 503, description = "No server can be reached, or none becomes as fresh as wished \
            before the time is over: `UNAVAILABLE`"),
    ),
)]
pub(crate) async fn watch(
    State(app): State<App>,
    target: Target,
    Params(params): Params<WatchParams>,
    asked: Asked,
) -> Answer {
    let place = app.watches.clone().try_acquire_owned().map_err(|_| {
        app.meter.watches_shed.inc();
        Problem::from(Reason::LimitExceeded)
    })?;
    let heartbeat = app.limits.heartbeat;
    let request = WatchRequest {
        namespace: target.one_namespace(),
        all_namespaces: target.all_namespaces,
        start: start(&asked.headers, &params)?,
        selection: selection(params.name, params.prefix, target.all_namespaces)?,
        progress_interval: prost_types::Duration::try_from(heartbeat).ok(),
        consistency: None,
    };
    let mut held = app.ask_and_hold(&asked, request).await.map_err(not_begun)?;
    // Not before the server has begun is it known that it can.
    let first = sse::next(&mut held.answer, app.limits.timeout).await?;
    let request_id = asked.along.request_id.as_str().to_owned();
    let (frames, server) = held.split();
    let last_words = no_room(&request_id);
    let events = sse::events(first, frames, heartbeat, request_id);
    let open = (place, Open::new(&app.meter.watches_open), server);
    let until_the_end = events
        .take_until(app.life.soft().clone().cancelled_owned())
        .map(move |event| (event, &open).0);
    let mut response = sse::response(Body::from_stream(until_the_end));
    response.extensions_mut().insert(Endless { last_words });
    Ok(response)
}

/// The last words of a watch whose next events are more than the gateway holds beside what other clients
/// have yet to take.
fn no_room(request_id: &str) -> Bytes {
    let detail =
        "clients have yet to take as many bytes of answers as the gateway holds; come back";
    sse::failure(&ApiError::new(Reason::LimitExceeded, detail).into(), request_id)
}

fn selection(
    name: Option<String>,
    prefix: Option<String>,
    all_namespaces: bool,
) -> Result<Option<Selection>, Problem> {
    match (name, prefix) {
        (Some(_), Some(_)) => Err(ApiError::invalid("prefix", "does not go with name").into()),
        (Some(_), None) if all_namespaces => {
            Err(ApiError::invalid("name", "does not go with namespace=*").into())
        }
        (Some(name), None) => Ok(Some(Selection::Name(name))),
        (None, Some(prefix)) => Ok(Some(Selection::Prefix(prefix))),
        (None, None) => Ok(None),
    }
}

/// A server elsewhere is told no deadline of the stream, which would end all of it, and may not have begun
/// at ours.
fn not_begun(mut error: ApiError) -> ApiError {
    // How far a server is that was asked for it is no place to go on from.
    if error.metadata.get(key::TOKEN) == error.metadata.get(key::REACHED_TOKEN) {
        error.metadata.remove(key::TOKEN);
    }
    match error.reason {
        Reason::DeadlineExceeded => ApiError::new(
            Reason::Unavailable,
            "no query server became as fresh as wished, or answered, in time; come back",
        ),
        _ => error,
    }
}

/// A client that comes back asks for the same URL as at first, so what it says about where it was
/// counts for more.
fn start(headers: &HeaderMap, params: &WatchParams) -> Result<Option<Start>, Problem> {
    const WANTS: &str = "must be the id of an event";
    if let Some(id) = only(headers, &LAST_EVENT_ID)?.filter(|id| !id.is_empty()) {
        let start = after_token(id.to_str().unwrap_or_default());
        return start.map(Some).ok_or_else(|| invalid_header(&LAST_EVENT_ID, WANTS));
    }
    if let Some(id) = params.last_event_id.as_deref().filter(|id| !id.is_empty()) {
        let start = after_token(id);
        return start.map(Some).ok_or_else(|| ApiError::invalid(LAST_EVENT, WANTS).into());
    }
    match (params.after.as_deref(), params.initial) {
        (Some(_), true) => Err(ApiError::invalid("initial", "does not go with after").into()),
        (None, true) => Ok(Some(Start::InitialState(InitialState {}))),
        (None, false) => Ok(None),
        (Some(text), false) => after(text).map(Some).ok_or_else(|| {
            ApiError::invalid(
                "after",
                "must be a token such as 1-1042, a position, or a time such as 2024-01-15T10:30:00Z",
            )
            .into()
        }),
    }
}

fn after(text: &str) -> Option<Start> {
    Some(match point(text)?.moment? {
        WireMoment::Token(token) => Start::AfterToken(token),
        WireMoment::Position(position) => Start::AfterPosition(position),
        WireMoment::Time(time) => Start::AfterTime(time),
    })
}

fn after_token(text: &str) -> Option<Start> {
    let token: configapi_proto::Token = text.parse().ok()?;
    Some(Start::AfterToken(token.to_string()))
}

/// Counts a watch for as long as it is open.
struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
