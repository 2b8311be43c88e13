//! Watches as server-sent events. An event bears an id exactly when all of its change and everything
//! up to there has been sent, so that a client that comes back with `Last-Event-ID` misses nothing,
//! gets nothing twice, and never takes the end of an Apply for all of it.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use configapi_proto::v1::watch_response::Frame;
use configapi_proto::v1::{Event, WatchResponse};
use configapi_proto::{ApiError, Reason, Token};
use configapi_runtime::http::StandsFor;
use futures_util::{Stream, StreamExt as _, stream};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::Serialize;
use tokio::time::timeout;

use crate::accepts::names_events;
use crate::answers::{ChangeView, RecordView, StateView};
use crate::json::with_type;
use crate::problem::Problem;
use crate::routes::WATCH;
use crate::upstream::Frames;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Tells nginx not to hold events back.
const ACCEL: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How long a client waits at least before it comes back.
const MIN_RETRY: Duration = Duration::from_secs(1);
/// By how much longer, at most: those that were sent away together do not come back together.
const RETRY_SPREAD_MS: u64 = 2_000;
/// A server that has not shown life for so many heartbeats is not there any more.
const MISSED_HEARTBEATS: u32 = 3;
/// Room that is left over in what is larger counts.
const LARGE_BYTES: usize = 16 << 10;

/// Whether a watch is asked for by a client that comes back by itself once a stream ends, and never
/// after an answer other than 200: that is what the HTML standard says of an `EventSource`.
pub(crate) fn is_event_source(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    method == Method::GET && uri.path() == WATCH && names_events(headers)
}

/// Events as an answer.
pub(crate) fn response(events: Body) -> Response {
    let mut response = with_type(EVENT_STREAM, events);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL, HeaderValue::from_static("no"));
    response
}

/// What an `EventSource` is told in the place of a refusal that passes: a watch that has ended already.
pub(crate) fn refusal(problem: &Problem, request_id: &str) -> Option<Response> {
    problem.passes().then(|| {
        let mut told = response(failure(problem, request_id).into());
        told.extensions_mut().insert(StandsFor(problem.status()));
        told
    })
}

/// When a client comes back: not before it was told to.
fn retry_ms(wait: Option<Duration>) -> u64 {
    let least = wait.unwrap_or_default().max(MIN_RETRY);
    let least_ms = u64::try_from(least.as_millis()).unwrap_or(u64::MAX);
    least_ms.saturating_add(RandomState::new().hash_one(least) % (RETRY_SPREAD_MS + 1))
}

/// The bytes of a watch. It ends after the first error, which it tells.
pub(crate) fn events(
    first: WatchResponse,
    frames: Frames<WatchResponse>,
    heartbeat: Duration,
    request_id: String,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
    let patience = heartbeat * MISSED_HEARTBEATS;
    let following = stream::unfold(Some(frames), move |frames| async move {
        let mut frames = frames?;
        match next(&mut frames, patience).await {
            Ok(frame) => Some((Ok(frame), Some(frames))),
            Err(error) => Some((Err(error), None)),
        }
    });
    let opening = Bytes::from(format!("retry: {}\n\n", retry_ms(None)));
    let told = stream::iter([Ok(first)]).chain(following).scan(false, move |ended, frame| {
        let bytes = if *ended {
            None
        } else {
            Some(frame.and_then(|frame| written(&frame)).unwrap_or_else(|error| {
                *ended = true;
                failure(&error.into(), &request_id)
            }))
        };
        std::future::ready(bytes)
    });
    stream::iter([opening]).chain(told).map(Ok)
}

/// The next frame, if the server is still there.
pub(crate) async fn next(
    frames: &mut Frames<WatchResponse>,
    patience: Duration,
) -> Result<WatchResponse, ApiError> {
    match timeout(patience, frames.next()).await {
        Ok(Some(Ok(frame))) => Ok(frame),
        Ok(None) => Err(ended("the server ended the watch; come back")),
        Ok(Some(Err(status))) => Err(ApiError::from_status(&status)),
        Err(_elapsed) => Err(ended("the server shows no life; come back")),
    }
}

fn ended(why: &str) -> ApiError {
    ApiError::new(Reason::Unavailable, why)
}

/// What a started watch, a mark of progress and a complete initial state say.
#[derive(Debug, Serialize)]
struct Mark<'a> {
    state: Option<StateView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configs: Option<u64>,
}

/// A frame as events.
fn written(response: &WatchResponse) -> Result<Bytes, ApiError> {
    let mut out = Out(Vec::with_capacity(256));
    let token = Some(response.token.as_str()).filter(|token| !token.is_empty());
    match &response.frame {
        Some(Frame::Started(it)) => {
            let mark = Mark { state: it.state.as_ref().map(StateView::of), configs: None };
            out.event("started", token, &mark)?;
        }
        Some(Frame::InitialConfigs(it)) => {
            for config in &it.configs {
                out.event("config", None, &RecordView::of(config))?;
            }
        }
        Some(Frame::InitialStateComplete(it)) => {
            let state = it.state.as_ref().map(StateView::of);
            out.event("complete", token, &Mark { state, configs: Some(it.configs) })?;
        }
        Some(Frame::Events(it)) => {
            let safe: Option<Token> = token.and_then(|token| token.parse().ok());
            for (index, event) in it.events.iter().enumerate() {
                let next = it.events.get(index + 1);
                let id = safe.and_then(|safe| end_of_change(safe, event, next));
                let id = id.map(|id| id.to_string());
                out.event("change", id.as_deref(), &ChangeView::of(event)?)?;
            }
        }
        Some(Frame::Progress(it)) => {
            let mark = Mark { state: it.state.as_ref().map(StateView::of), configs: None };
            out.event("progress", token, &mark)?;
        }
        None => {
            let what = "there is a frame of a kind that this gateway does not know";
            return Err(ApiError::new(Reason::Internal, what));
        }
    }
    // What a large frame takes is counted by its length.
    if out.0.len() > LARGE_BYTES {
        out.0.shrink_to_fit();
    }
    Ok(out.0.into())
}

/// Where a client goes on after this event of a frame that is safe up to there, if it is the last that
/// comes of its change. That need not be the last of the change, which the watch may leave out.
fn end_of_change(safe: Token, event: &Event, next: Option<&Event>) -> Option<Token> {
    if event.position > safe.position {
        return None;
    }
    let position = match next {
        _ if event.last_of_command => event.position,
        // All events of a change have the same request id. Two changes without one cannot be told apart:
        // then there is no id, and who comes back is told of the first one again.
        Some(next) if next.request_id == event.request_id => return None,
        // The change ends somewhere before the next one that matches.
        Some(next) => next.position.saturating_sub(1).min(safe.position),
        None => safe.position,
    };
    Some(Token { position, ..safe })
}

/// The last event of a watch: why it ended, and when to come back. Without an id, for where the client was
/// is where it goes on.
pub(crate) fn failure(problem: &Problem, request_id: &str) -> Bytes {
    let (retry, details) = (retry_ms(problem.retry_after()), problem.details(request_id));
    format!("retry: {retry}\nevent: problem\ndata: {details}\n\n").into()
}

struct Out(Vec<u8>);

impl Out {
    /// JSON has no line breaks of its own, so every event is one line of data.
    fn event(
        &mut self,
        name: &str,
        id: Option<&str>,
        data: &impl Serialize,
    ) -> Result<(), ApiError> {
        if let Some(id) = id {
            self.0.extend_from_slice(b"id: ");
            self.0.extend_from_slice(id.as_bytes());
            self.0.push(b'\n');
        }
        self.0.extend_from_slice(b"event: ");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\ndata: ");
        serde_json::to_writer(&mut self.0, data).map_err(|error| {
            tracing::error!(%error, "an event cannot be written as JSON");
            ApiError::from(Reason::Internal)
        })?;
        self.0.extend_from_slice(b"\n\n");
        Ok(())
    }
}
