//! What a Watch asks for, and the view that it begins with.

use std::sync::Arc;
use std::time::Duration;

use configapi_domain::Position;
use configapi_proto::ApiError;
use configapi_proto::v1::{WatchRequest, watch_request};
use tokio::time::Instant;

use super::scan::Cursor;
use super::seat::Seat;
use super::watcher::{FrameStream, Start, Watcher};
use crate::core::Core;
use crate::freshness::{Wish, parse_token};
use crate::queries::Selection;

/// The longest that a stream is silent, and how often it speaks if nobody says otherwise.
const PROGRESS_MAX: Duration = Duration::from_secs(10);
/// The most often that a stream speaks without need.
const PROGRESS_MIN: Duration = Duration::from_millis(100);

impl Core {
    /// Begins a Watch.
    pub async fn watch(
        self: &Arc<Self>,
        request: WatchRequest,
        deadline: Option<Instant>,
    ) -> Result<FrameStream, ApiError> {
        let selection = selection(&request)?;
        let interval = interval(request.progress_interval.as_ref())?;
        let wish = Wish::parse(request.consistency.as_ref())?;
        let after = match &request.start {
            Some(watch_request::Start::AfterToken(text)) => Some(parse_token("after_token", text)?),
            _ => None,
        };
        // What a token stands for has been seen by somebody: a log without it lost it, or is another.
        let resumed = after.map_or(Wish::Any, Wish::Token);
        let view = self.freshness.view(&[wish, resumed], deadline).await?;
        let seat = Seat::take(self)?;
        let start = match (&request.start, after) {
            (_, Some(token)) => Start::After(Cursor::after(Position(token.position))),
            (Some(watch_request::Start::AfterPosition(position)), _) => {
                Start::After(Cursor::after(Position(*position)))
            }
            (Some(watch_request::Start::InitialState(_)), _) => Start::Initial,
            (Some(watch_request::Start::AfterToken(_)) | None, _) => {
                Start::After(Cursor::after(view.position()))
            }
        };
        let watcher = Watcher::new(Arc::clone(self), seat, selection, interval, view, start);
        Ok(watcher.into_stream())
    }
}

fn selection(request: &WatchRequest) -> Result<Selection, ApiError> {
    let WatchRequest { namespace, all_namespaces, .. } = request;
    match &request.selection {
        Some(watch_request::Selection::Name(name)) => {
            Selection::one(namespace, *all_namespaces, name)
        }
        Some(watch_request::Selection::Prefix(prefix)) => {
            Selection::prefix(namespace, *all_namespaces, prefix)
        }
        None => Selection::prefix(namespace, *all_namespaces, ""),
    }
}

fn interval(asked: Option<&prost_types::Duration>) -> Result<Duration, ApiError> {
    let Some(asked) = asked else { return Ok(PROGRESS_MAX) };
    let asked = Duration::try_from(*asked)
        .map_err(|_| ApiError::invalid("progress_interval", "must not be negative"))?;
    Ok(asked.clamp(PROGRESS_MIN, PROGRESS_MAX))
}
