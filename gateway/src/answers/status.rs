//! How a query server is doing.

use configapi_proto::v1::GetStatusResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::StateView;
use crate::moment::{Time, seconds};

/// How the query server that answered is doing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub(crate) struct StatusView<'a> {
    /// The state that the server has reached.
    #[schema(required)]
    state: Option<StateView<'a>>,
    /// Whether it serves reads.
    ready: bool,
    /// Why it does not. Empty if it does.
    not_ready_reason: &'a str,
    /// The identity of the log, the same for all servers of one store.
    log_id: &'a str,
    /// The head of the log as this server last heard of it.
    head_position: u64,
    /// How many events it has still to apply.
    lag_events: u64,
    /// For how long events may have been missing: since it knew of one that it has not applied, or since
    /// the store was asked and gave no answer of use.
    lag_seconds: f64,
    /// How many configs exist.
    live_configs: u64,
    /// How many configs are deleted.
    deleted_configs: u64,
    /// How many versions all configs have together.
    versions: u64,
    /// How many namespaces have a config.
    namespaces: u64,
    /// How many watches are open on this server.
    watchers: u64,
    /// For how long the server has been running.
    uptime_seconds: f64,
    /// The version of the server.
    server_version: &'a str,
    /// When the server answered, by its own clock.
    #[schema(required)]
    server_time: Option<Time>,
    /// A digest of all that the server holds; only there if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    state_hash: Option<&'a str>,
}

impl<'a> StatusView<'a> {
    pub fn of(status: &'a GetStatusResponse) -> Self {
        Self {
            state: status.state.as_ref().map(StateView::of),
            ready: status.ready,
            not_ready_reason: &status.not_ready_reason,
            log_id: &status.log_id,
            head_position: status.head_position,
            lag_events: status.lag_events,
            lag_seconds: seconds(status.lag.as_ref()),
            live_configs: status.live_configs,
            deleted_configs: status.deleted_configs,
            versions: status.versions,
            namespaces: status.namespaces,
            watchers: status.watchers,
            uptime_seconds: seconds(status.uptime.as_ref()),
            server_version: &status.server_version,
            server_time: Time::of(status.server_time.as_ref()),
            state_hash: status.state_hash.as_deref(),
        }
    }
}
