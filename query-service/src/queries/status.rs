//! `GetStatus`: how the server is doing. Answers also while nothing may be read.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use configapi_proto::{ApiError, Reason, timestamp_from_micros, v1};
use tokio::time::Instant;

use crate::core::Core;
use crate::freshness::Wish;
use crate::view::{Condition, View};

impl Core {
    /// Answers a `GetStatus`.
    pub async fn status(
        &self,
        request: v1::GetStatusRequest,
        deadline: Option<Instant>,
    ) -> Result<v1::GetStatusResponse, ApiError> {
        let view = match Wish::parse(request.consistency.as_ref())? {
            Wish::Any => self.board.view(),
            wish => self.freshness.view(&[wish], deadline).await?,
        };
        let state_hash = match (&view.condition, request.with_state_hash) {
            (Condition::Serving, true) => Some(self.state_hash(&view).await?),
            (Condition::Serving | Condition::NotReady(_), _) => None,
        };
        let mut status = self.status_of(&view);
        status.state_hash = state_hash;
        Ok(status)
    }

    fn status_of(&self, view: &View) -> v1::GetStatusResponse {
        let progress = self.board.progress();
        let (state, counts) = match &view.condition {
            Condition::Serving => (view.read_state(view.position()), view.state.counts()),
            Condition::NotReady(_) => {
                let token = view.token(progress.applied.position);
                let applied = v1::ReadState {
                    position: token.position,
                    epoch: token.epoch,
                    token: token.to_string(),
                    recorded_at: (token.position > 0)
                        .then(|| timestamp_from_micros(progress.applied.recorded_at.0)),
                };
                (applied, progress.counts)
            }
        };
        let not_ready_reason = match &view.condition {
            Condition::Serving => String::new(),
            Condition::NotReady(why) => why.to_string(),
        };
        v1::GetStatusResponse {
            ready: not_ready_reason.is_empty(),
            not_ready_reason,
            log_id: view.log.log_id.map(|id| id.to_string()).unwrap_or_default(),
            head_position: progress.head().0.max(state.position),
            lag_events: progress.head().0.saturating_sub(state.position),
            lag: Some(wire_duration(progress.lag())),
            live_configs: counts.live,
            deleted_configs: counts.deleted,
            versions: counts.versions,
            namespaces: counts.namespaces,
            watchers: self.watchers.load(Ordering::Relaxed) as u64,
            uptime: Some(wire_duration(self.started.elapsed())),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            state_hash: None,
            server_time: Some(SystemTime::now().into()),
            state: Some(state),
        }
    }

    /// Digests a state beside the tasks that answer.
    async fn state_hash(&self, view: &Arc<View>) -> Result<String, ApiError> {
        let permit = Arc::clone(&self.digesting).acquire_owned().await;
        let state = view.state.clone();
        let digest = tokio::task::spawn_blocking(move || {
            let digest = state.digest();
            drop(permit);
            digest
        });
        let digest = digest.await.map_err(|_| ApiError::from(Reason::Internal))?;
        let mut text = String::with_capacity(2 * digest.len());
        for byte in digest {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }
}

fn wire_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}
