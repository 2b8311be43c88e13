//! Get: one config, now or at a moment of the past.

use std::sync::Arc;

use configapi_domain::{ConfigKey, Namespace, Position};
use configapi_proto::{ApiError, Reason, Token, key, v1};
use tokio::time::Instant;

use super::Moment;
use super::selection::invalid;
use crate::core::Core;
use crate::freshness::Wish;
use crate::projection::Node;
use crate::view::View;
use crate::wire::{self, Answer, Encoded};

impl Core {
    /// Answers a Get.
    pub async fn get(
        &self,
        request: v1::GetRequest,
        deadline: Option<Instant>,
    ) -> Result<Encoded<v1::GetResponse>, ApiError> {
        let (view, position) = self.view_of_get(&request, deadline).await?;
        let node = find(&view, &request.namespace, &request.name, position)?;
        Ok(Answer::with_capacity(wire::config_bytes(node, false) + wire::STATE_BYTES)
            .message(1, &wire::Config { node, keys_only: false })
            .message(2, &view.read_state(position))
            .finish())
    }

    /// Answers a Get with the message itself, for who would take the other form apart at once.
    pub async fn get_message(
        &self,
        request: v1::GetRequest,
        deadline: Option<Instant>,
    ) -> Result<v1::GetResponse, ApiError> {
        let (view, position) = self.view_of_get(&request, deadline).await?;
        let node = find(&view, &request.namespace, &request.name, position)?;
        let config = wire::Config { node, keys_only: false }.message();
        Ok(v1::GetResponse { config: Some(config), state: Some(view.read_state(position)) })
    }

    /// The view that is asked, and the position that is asked about.
    async fn view_of_get(
        &self,
        request: &v1::GetRequest,
        deadline: Option<Instant>,
    ) -> Result<(Arc<View>, Position), ApiError> {
        let moment = Moment::parse("at", request.at.as_ref())?;
        let wishes = [Wish::parse(request.consistency.as_ref())?, moment.wish()];
        let view = self.freshness.view(&wishes, deadline).await?;
        let position = moment.resolve(&view);
        Ok((view, position))
    }
}

/// The event that made a config what it was at a position.
pub(super) fn find<'a>(
    view: &'a View,
    namespace: &str,
    name: &str,
    position: Position,
) -> Result<&'a Node, ApiError> {
    let place = if namespace.is_empty() { Namespace::DEFAULT } else { namespace };
    // Only valid keys are held, so only one that is not found needs to be checked.
    let newest = view.state.newest(place, name).inspect(|newest| newest.ask_for());
    let Some(node) = newest.and_then(|newest| newest.at_position(position)) else {
        let key = ConfigKey::parse(namespace, name).map_err(invalid)?;
        return Err(not_found(&key, None, view.token(position)));
    };
    node.ask_for_value();
    if node.is_live() {
        Ok(node)
    } else {
        Err(not_found(node.key(), Some(node), view.token(position)))
    }
}

/// An answer like any other: it too states the place that it is about.
fn not_found(key: &ConfigKey, deleted: Option<&Node>, at: Token) -> ApiError {
    let Some(deleted) = deleted else {
        return ApiError::new(Reason::ConfigNotFound, format!("{key} does not exist"))
            .with_metadata(key::TOKEN, at);
    };
    let version = deleted.version();
    let message = format!("{key} does not exist; it was deleted at version {version}");
    ApiError::new(Reason::ConfigNotFound, message)
        .with_metadata(key::TOKEN, at)
        .with_metadata(key::DELETED, "true")
        .with_metadata(key::DELETED_VERSION, version)
}
