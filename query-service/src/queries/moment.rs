//! A moment of the past as requests name it, and the position that it means.

use configapi_domain::{Position, Timestamp};
use configapi_proto::v1::{PointInTime, point_in_time};
use configapi_proto::{ApiError, Token, micros_from_timestamp};

use crate::freshness::{Wish, parse_token};
use crate::view::View;

/// A moment in the life of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// After everything.
    Now,
    /// After all events recorded at this time or before.
    Time(Timestamp),
    /// After the event at this position.
    Position(Position),
    /// After the event at this position, if it still means the same.
    Token(Token),
}

impl Moment {
    /// Reads an optional moment; none means now.
    pub fn parse(field: &str, point: Option<&PointInTime>) -> Result<Self, ApiError> {
        point.map_or(Ok(Self::Now), |point| Self::read(field, point))
    }

    /// Reads a moment that has to be there.
    pub fn parse_required(field: &str, point: Option<&PointInTime>) -> Result<Self, ApiError> {
        let point = point.ok_or_else(|| ApiError::invalid(field, "must be given"))?;
        Self::read(field, point)
    }

    fn read(field: &str, point: &PointInTime) -> Result<Self, ApiError> {
        let inner = |name: &str| format!("{field}.{name}");
        match &point.moment {
            None => Err(ApiError::invalid(field, "must have one of time, position and token")),
            Some(point_in_time::Moment::Time(time)) => Self::at_time(&inner("time"), time),
            Some(point_in_time::Moment::Position(at)) => Ok(Self::Position(Position(*at))),
            Some(point_in_time::Moment::Token(text)) => {
                Ok(Self::Token(parse_token(&inner("token"), text)?))
            }
        }
    }

    /// The moment after all events of this time or before.
    pub fn at_time(field: &str, time: &prost_types::Timestamp) -> Result<Self, ApiError> {
        let micros = micros_from_timestamp(time)
            .map_err(|error| ApiError::invalid(field, error.to_string()))?;
        Ok(Self::Time(Timestamp(micros)))
    }

    /// What a view needs so that this moment can be looked at.
    pub fn wish(self) -> Wish {
        match self {
            Self::Now => Wish::Any,
            Self::Time(time) => Wish::Time(time),
            Self::Position(position) => Wish::Position(position),
            Self::Token(token) => Wish::Token(token),
        }
    }

    /// The position that this moment means in a view that fulfils the wish: always the end of a
    /// command, because nobody may see a part of an Apply. A position within one means its end, a
    /// time within one means the end of the command before it.
    pub fn resolve(self, view: &View) -> Position {
        let state = &view.state;
        let position = match self {
            Self::Now => return view.position(),
            Self::Time(time) => {
                let last = state.position_at(time);
                return match state.event(last) {
                    Some(event) if !event.ends_command() => {
                        Position(last.0 - u64::from(event.part().index) - 1)
                    }
                    _ => last,
                };
            }
            Self::Position(position) => position,
            Self::Token(token) => Position(token.position),
        };
        state.event(position).map_or(position, |event| event.command_end()).min(view.position())
    }
}
