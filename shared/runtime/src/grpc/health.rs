//! The health of one server, as gRPC health v1 tells it. Unlike tonic's, a Watch of ours ends when
//! the process shall end, after it said `NOT_SERVING`, so it never holds up the drain; and it knows
//! unknown services.

use std::pin::Pin;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _, wrappers::WatchStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health as HealthRpc, HealthServer},
};

use super::{ENCODINGS, MAX_QUESTION_BYTES};

/// Whether a server serves: one answer for all its services and for the server itself (""). Clones
/// are the same health.
#[derive(Debug, Clone)]
pub struct Health {
    serving: watch::Sender<bool>,
    is_leaving: Arc<AtomicBool>,
}

impl Default for Health {
    /// Not serving, until told.
    fn default() -> Self {
        Self { serving: watch::Sender::new(false), is_leaving: Arc::default() }
    }
}

impl Health {
    /// Says SERVING from now on.
    pub fn set_serving(&self) {
        self.set(true);
    }

    /// Says `NOT_SERVING` from now on.
    pub fn set_not_serving(&self) {
        self.set(false);
    }

    /// Says `NOT_SERVING` for good, whatever it is told.
    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
        self.set(false);
    }

    /// Whether it says SERVING.
    pub fn is_serving(&self) -> bool {
        *self.serving.borrow()
    }

    fn set(&self, serving: bool) {
        let changed = self.serving.send_if_modified(|now| {
            let serving = serving && !self.is_leaving.load(Ordering::Relaxed);
            std::mem::replace(now, serving) != serving
        });
        if changed {
            tracing::info!(serving, "health changed");
        }
    }

    pub(super) fn service(
        &self,
        name: &'static str,
        soft: CancellationToken,
    ) -> HealthServer<impl HealthRpc> {
        let service = HealthService { serving: self.serving.clone(), name, soft };
        let server = HealthServer::new(service).max_decoding_message_size(MAX_QUESTION_BYTES);
        ENCODINGS.into_iter().fold(server, |server, encoding| {
            server.accept_compressed(encoding).send_compressed(encoding)
        })
    }
}

struct HealthService {
    serving: watch::Sender<bool>,
    /// Of the service whose health it is.
    name: &'static str,
    soft: CancellationToken,
}

impl HealthService {
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || service == self.name
    }
}

#[tonic::async_trait]
impl HealthRpc for HealthService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Status::not_found("no service of that name is served here"));
        }
        Ok(Response::new(told(*self.serving.borrow())))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let soft = self.soft.clone();
        if !self.knows(&request.get_ref().service) {
            let unknown = Ok(HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() });
            let lasting = futures_util::stream::once(async move { unknown })
                .chain(until(soft).filter_map(|()| None));
            return Ok(Response::new(Box::pin(lasting)));
        }
        let changes = WatchStream::new(self.serving.subscribe());
        let watched = futures_util::StreamExt::take_until(changes, soft.cancelled_owned())
            .chain(tokio_stream::once(false))
            .map(|serving| Ok(told(serving)));
        Ok(Response::new(Box::pin(watched)))
    }
}

/// A stream that says nothing and lasts until then.
fn until(soft: CancellationToken) -> impl Stream<Item = ()> {
    futures_util::stream::once(async move { soft.cancelled().await })
}

fn told(serving: bool) -> HealthCheckResponse {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}
