//! One condition that a view must fulfil before it answers a read.

use configapi_domain::{Position, Timestamp};
use configapi_event_log::{Epoch, Head, Lineage};
use configapi_proto::v1::{Consistency, consistency};
use configapi_proto::{ApiError, Reason, Token, key};

use crate::view::View;

/// How fresh a view must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Any will do.
    Any,
    /// At least at this position.
    Position(Position),
    /// With all that was recorded at this time or before.
    Time(Timestamp),
    /// The same, for one who asked at this moment.
    TimeAsked { time: Timestamp, asked_at: Timestamp },
    /// At least at this token, on a log that still holds it.
    Token(Token),
    /// At least at what the store's head will be when it is asked.
    Linearizable,
    /// At least at this head.
    Head(Head),
}

impl Wish {
    /// Reads the wish of a request.
    pub fn parse(consistency: Option<&Consistency>) -> Result<Self, ApiError> {
        Ok(match consistency.and_then(|it| it.wish.as_ref()) {
            None => Self::Any,
            Some(consistency::Wish::Linearizable(_)) => Self::Linearizable,
            Some(consistency::Wish::AtLeastToken(text)) => {
                Self::Token(parse_token("consistency.at_least_token", text)?)
            }
        })
    }

    /// Whether a view fulfils it; an error if no view ever will.
    pub fn is_fulfilled(&self, view: &View) -> Result<bool, ApiError> {
        let lineage = &view.log.lineage;
        let current = lineage.current();
        Ok(match self {
            Self::Any => true,
            Self::Linearizable => false,
            Self::Time(time) => view.is_whole_at(*time),
            Self::TimeAsked { time, asked_at } => view.is_whole_for(*time, *asked_at),
            Self::Position(position) => view.position() >= *position,
            Self::Token(token) => {
                check_holds(lineage, *token)?;
                token.epoch <= current.0 && view.position().0 >= token.position
            }
            Self::Head(head) if head.epoch > current => false,
            Self::Head(head) if head.epoch < current => {
                view.position() >= lineage.kept_of(head.epoch, head.position)
            }
            Self::Head(head) if head.position == Position::GENESIS => true,
            Self::Head(head) => {
                view.state.event(head.position).is_some_and(|event| event.hash() == head.hash)
            }
        })
    }
}

/// Refuses a token whose position means something else by now.
fn check_holds(lineage: &Lineage, token: Token) -> Result<(), ApiError> {
    if lineage.still_holds(Epoch(token.epoch), Position(token.position)) {
        return Ok(());
    }
    Err(log_changed(token))
}

/// Tells the caller that its token leads nowhere.
pub(super) fn log_changed(token: Token) -> ApiError {
    ApiError::new(
        Reason::LogChanged,
        format!("the log no longer holds what the token {token} stands for; read the state anew"),
    )
    .with_metadata(key::LOST_TOKEN, token)
}

/// Reads a token from a field of a request.
pub(crate) fn parse_token(field: &str, text: &str) -> Result<Token, ApiError> {
    text.parse()
        .map_err(|error: configapi_proto::InvalidToken| ApiError::invalid(field, error.to_string()))
}
