//! How a query is asked with the freshness that its client wishes, and what a gateway does when the
//! log that it remembers is gone.

use std::time::Duration;

use configapi_proto::v1::point_in_time::Moment;
use configapi_proto::v1::{GetRequest, GetStatusRequest, PointInTime, ReadState};
use configapi_proto::{ApiError, Reason, Token, key};
use http::HeaderValue;
use tokio::time::Instant;

use crate::app::App;
use crate::asked::Asked;
use crate::freshness::{Level, Needed, Wish, at_least, linearizable};
use crate::upstream::{Along, Held, Query, reached};

impl App {
    /// Asks a query server.
    pub async fn ask<Q: Query>(&self, asked: &Asked, query: Q) -> Result<Q::Answer, ApiError> {
        self.ask_and_hold(asked, query).await.map(|held| held.answer)
    }

    /// As `ask`, and keeps the server busy until the answer is dropped.
    pub async fn ask_and_hold<Q: Query>(
        &self,
        asked: &Asked,
        query: Q,
    ) -> Result<Held<Q::Answer>, ApiError> {
        let remembered = match asked.wish.level {
            Level::OwnWrites => self.own_writes.newest(),
            Level::Any | Level::Linearizable => None,
        };
        let Asked { wish, along, .. } = asked;
        let Some(ours) = remembered else { return self.ask_at(*wish, along, query, None).await };
        match self.ask_at(*wish, along, query.clone(), Some(ours)).await {
            // Only what the client did not ask for may be given up.
            Err(error) if may_be_lost(&error, ours) => {
                let without = self.ask_at(*wish, along, query, None).await;
                if without.is_ok() {
                    self.own_writes.forget(ours);
                }
                without
            }
            // Rare: kept apart from what all reads hold.
            Err(error) if may_be_short(&error, ours) => {
                Box::pin(self.ask_at_head(asked, query, ours, error)).await
            }
            other => other,
        }
    }

    /// Asks once more if the log has become shorter than what was written through this gateway, which no
    /// server ever reaches then. Its store was replaced by another one of the same epoch, or by an
    /// older copy of itself, and so neither a token nor the log's identity tells; only its head does.
    async fn ask_at_head<Q: Query>(
        &self,
        asked: &Asked,
        query: Q,
        ours: Token,
        error: ApiError,
    ) -> Result<Held<Q::Answer>, ApiError> {
        let along = Along { deadline: Instant::now() + HEAD_LIMIT, ..asked.along.clone() };
        let Some(_turn) = self.own_writes.turn() else { return Err(error) };
        // Everything acknowledged to anybody before this question is part of its answer.
        let Ok(head) = self.head(&along).await else { return Err(error) };
        if head >= ours {
            return Err(error);
        }
        tracing::warn!(%ours, %head, "the log has lost what was written through this gateway");
        self.own_writes.replace(ours, head);
        self.ask_at(asked.wish, &along, query, Some(head)).await
    }

    /// Asks a server that is at both the client's token and this one.
    async fn ask_at<Q: Query>(
        &self,
        wish: Wish,
        along: &Along,
        mut query: Q,
        ours: Option<Token>,
    ) -> Result<Held<Q::Answer>, ApiError> {
        let wish = match wish.needs(ours) {
            Needed::Nothing => None,
            Needed::Token(token) => Some(at_least(token)),
            Needed::Linearizable => Some(linearizable()),
            // Rare: kept apart from what all reads hold.
            Needed::LinearizableAnd(token) => {
                Some(at_least(Box::pin(self.head_and(along, token)).await?))
            }
            Needed::Both { earlier, later } => {
                Some(at_least(Box::pin(self.joined(along, earlier, later)).await?))
            }
        };
        query.wish(wish);
        self.upstreams.queries.ask_and_hold(along, query).await
    }

    /// A place in the log at or after everything that was acknowledged to anybody.
    async fn head(&self, along: &Along) -> Result<Token, ApiError> {
        let consistency = Some(linearizable());
        let query = GetStatusRequest { with_state_hash: false, consistency };
        let state = self.upstreams.queries.ask(along, query).await?.state;
        let head = state.and_then(|state| state.token.parse().ok());
        head.ok_or_else(|| Reason::Internal.into())
    }

    /// Everything that was acknowledged to anybody and a token, as one token.
    async fn head_and(&self, along: &Along, token: Token) -> Result<Token, ApiError> {
        let head = self.head(along).await?;
        if head.epoch == token.epoch {
            return Ok(head.max(token));
        }
        self.joined(along, head.min(token), head.max(token)).await
    }

    /// Two tokens of different epochs as one, which is all that a query can say. Whether the log
    /// still holds the earlier one is asked of a server that knows the later one, and stays so: what
    /// became of an epoch was settled when the later one began.
    async fn joined(&self, along: &Along, earlier: Token, later: Token) -> Result<Token, ApiError> {
        let moment = Moment::Token(earlier.to_string());
        let query = GetRequest {
            name: ANY_NAME.to_owned(),
            at: Some(PointInTime { moment: Some(moment) }),
            consistency: Some(at_least(later)),
            ..GetRequest::default()
        };
        match self.upstreams.queries.ask(along, query).await {
            // Whether there was such a config then is of no interest.
            Err(error) if error.reason != Reason::ConfigNotFound => Err(error),
            // A position that both epochs have means the same in both.
            Ok(_) | Err(_) => Ok(Token { position: earlier.position.max(later.position), ..later }),
        }
    }
}

/// How long a read may take, once its time is over, to find out that the log became shorter and to be
/// asked again.
const HEAD_LIMIT: Duration = Duration::from_millis(500);
/// A name to ask for where any will do.
const ANY_NAME: &str = "-";

/// Whether a read may have failed because a token is lost. A server that does not say which one it
/// was is an older one.
fn may_be_lost(error: &ApiError, token: Token) -> bool {
    let named = error.metadata.get(key::LOST_TOKEN);
    error.reason == Reason::LogChanged && named.is_none_or(|lost| *lost == token.to_string())
}

/// Whether a read may have failed because the log ends before a token.
fn may_be_short(error: &ApiError, token: Token) -> bool {
    let reached = reached(error).and_then(|reached| reached.parse::<Token>().ok());
    error.reason == Reason::Unavailable && reached.is_some_and(|reached| reached < token)
}

/// The state of an answer as the header `ConfigApi-Token` and, for answers about many configs, as a
/// weak entity tag: the same request at the same state has the same answer.
pub(crate) fn token_header(state: Option<&ReadState>) -> Option<HeaderValue> {
    state.and_then(|state| HeaderValue::from_str(&state.token).ok())
}
