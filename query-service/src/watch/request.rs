//! What a Watch asks for, and the view that it begins with.

use std::sync::Arc;
use std::time::Duration;

use configapi_domain::Position;
use configapi_proto::v1::{WatchRequest, watch_request};
use configapi_proto::{ApiError, Reason, Token, key};
use tokio::time::Instant;

use super::scan::Cursor;
use super::seat::Seat;
use super::watcher::{FrameStream, Start, Watcher};
use crate::core::Core;
use crate::freshness::{Wish, parse_token};
use crate::queries::{Moment, Selection};
use crate::view::View;

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
        let begin = Begin::parse(request.start.as_ref())?;
        let view = self.freshness.view(&[wish, begin.wish()], deadline).await;
        let view = view.map_err(|error| begin.refused(error))?;
        let seat = Seat::take(self)?;
        let start = begin.start(&view);
        let watcher = Watcher::new(Arc::clone(self), seat, selection, interval, &view, start);
        Ok(watcher.into_stream())
    }
}

/// Where a watch is to begin.
enum Begin {
    Initial,
    /// Not a moment: one within an Apply is taken at its word.
    AfterPosition(Position),
    AfterToken(Token),
    After(Moment),
}

impl Begin {
    fn parse(start: Option<&watch_request::Start>) -> Result<Self, ApiError> {
        Ok(match start {
            Some(watch_request::Start::InitialState(_)) => Self::Initial,
            Some(watch_request::Start::AfterPosition(at)) => Self::AfterPosition(Position(*at)),
            Some(watch_request::Start::AfterToken(text)) => {
                Self::AfterToken(parse_token("after_token", text)?)
            }
            Some(watch_request::Start::AfterTime(time)) => {
                Self::After(Moment::at_time("after_time", time)?)
            }
            None => Self::After(Moment::Now),
        })
    }

    /// What a view needs. What a token or a position stands for has been seen by somebody: a log without
    /// it lost it, or is another. To begin there all the same would be to say that it was delivered.
    fn wish(&self) -> Wish {
        match self {
            Self::Initial => Wish::Any,
            Self::AfterPosition(position) => Wish::Position(*position),
            Self::AfterToken(token) => Wish::Token(*token),
            Self::After(moment) => moment.wish(),
        }
    }

    /// The refusal of a watch that did not begin. What the server has reached is not where the client can
    /// go on: that is still where it was.
    fn refused(&self, mut error: ApiError) -> ApiError {
        if error.reason != Reason::Unavailable {
            return error;
        }
        error.metadata.remove(key::TOKEN);
        match self {
            Self::AfterToken(token) => error.with_metadata(key::TOKEN, token),
            Self::Initial | Self::AfterPosition(_) | Self::After(_) => error,
        }
    }

    /// The place in a view that has what it needs.
    fn start(&self, view: &View) -> Start {
        let after = match self {
            Self::Initial => return Start::Initial,
            Self::AfterPosition(position) => *position,
            Self::AfterToken(token) => Position(token.position),
            Self::After(moment) => moment.resolve(view),
        };
        Start::After(Cursor::after(after))
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
