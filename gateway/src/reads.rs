//! How a query is asked with the freshness that its client wishes, and what a gateway does when the
//! log that it remembers is gone.

use configapi_proto::v1::ReadState;
use configapi_proto::{ApiError, Reason};
use http::HeaderValue;

use crate::app::App;
use crate::asked::Asked;
use crate::freshness::Level;
use crate::upstream::{Held, Query};

impl App {
    /// Asks a query server.
    pub async fn ask<Q: Query>(&self, asked: &Asked, query: Q) -> Result<Q::Answer, ApiError> {
        self.ask_and_hold(asked, query).await.map(|held| held.answer)
    }

    /// As `ask`, and keeps the server busy until the answer is dropped.
    pub async fn ask_and_hold<Q: Query>(
        &self,
        asked: &Asked,
        mut query: Q,
    ) -> Result<Held<Q::Answer>, ApiError> {
        let queries = &self.upstreams.queries;
        let remembered = match asked.wish.level {
            Level::OwnWrites => self.own_writes.newest(),
            Level::Any | Level::Linearizable => None,
        };
        query.wish(asked.wish.on_wire(remembered));
        // Only what the client did not ask for may be given up.
        let Some(ours) = remembered.filter(|_| asked.wish.token < remembered) else {
            return queries.ask_and_hold(&asked.along, query).await;
        };
        match queries.ask_and_hold(&asked.along, query.clone()).await {
            Err(error) if error.reason == Reason::LogChanged => {
                self.own_writes.forget(ours);
                query.wish(asked.wish.on_wire(None));
                queries.ask_and_hold(&asked.along, query).await
            }
            other => other,
        }
    }
}

/// The state of an answer as the header `ConfigApi-Token` and, for answers about many configs, as a
/// weak entity tag: the same request at the same state has the same answer.
pub(crate) fn token_header(state: Option<&ReadState>) -> Option<HeaderValue> {
    state.and_then(|state| HeaderValue::from_str(&state.token).ok())
}
