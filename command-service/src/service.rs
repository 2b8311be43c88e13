//! The command server put together: committer, bus and edge on one log.

use std::sync::Arc;

use configapi_event_log::{EventLog, Verdict};
use configapi_proto::FILE_DESCRIPTOR_SET;
use configapi_runtime::grpc::{self, CallLimits, GrpcLimits, GrpcServer, Health, ServeError};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::bus::{BusBuilder, BusMetrics};
use crate::clock::Clock;
use crate::committer::{Committer, CommitterMetrics, Limits, StoreHealth};
use crate::grpc::CommandRpc;
use crate::handlers::{ApplyHandler, DeleteHandler, RestoreHandler, SetHandler};
use crate::set_many::SetMany;

/// A running command server, not yet listening.
#[derive(Debug, Clone)]
pub struct CommandService {
    rpc: CommandRpc,
    health: Health,
    store_health: watch::Receiver<StoreHealth>,
}

impl CommandService {
    /// Starts the committer on a log, within a life.
    pub fn start(
        log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        metrics: &Metrics,
        life: &Lifecycle,
    ) -> Self {
        let committer = committer(log, clock, limits, metrics);
        Self::on(committer, &limits, metrics, life)
    }

    /// As [`CommandService::start`], beside one who reads the log in this process: what that one
    /// refuses is not written.
    pub fn start_beside(
        verdict: watch::Receiver<Verdict>,
        log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        metrics: &Metrics,
        life: &Lifecycle,
    ) -> Self {
        let committer = committer(log, clock, limits, metrics).heeding(verdict);
        Self::on(committer, &limits, metrics, life)
    }

    fn on(committer: Committer, limits: &Limits, metrics: &Metrics, life: &Lifecycle) -> Self {
        let bus_metrics = metrics.register(BusMetrics::register);
        let Committer { queue, worker, health: store_health } = committer;
        life.spawn_critical("committer", async move {
            worker.run().await;
            Ok::<_, std::convert::Infallible>(())
        });
        let bus = BusBuilder::new(queue, bus_metrics, limits.queue_submissions)
            .register::<SetHandler>()
            .register::<DeleteHandler>()
            .register::<RestoreHandler>()
            .register::<ApplyHandler>()
            .build();
        let health = Health::default();
        life.spawn(follow_store(store_health.clone(), health.clone(), life.clone()));
        Self { rpc: CommandRpc::new(bus, SetMany::new(life.clone(), limits)), health, store_health }
    }

    /// The service, to be called within this process.
    pub fn within(&self) -> CommandRpc {
        self.rpc.clone()
    }

    /// Says, whenever asked, whether commands can be recorded, and if not, why not. It keeps
    /// nothing alive but the word itself.
    pub fn readiness(&self) -> impl Fn() -> Result<(), String> + Send + Sync + use<> {
        let store_health = self.store_health.clone();
        move || match &*store_health.borrow() {
            StoreHealth::Up => Ok(()),
            StoreHealth::Starting => Err("the log has not been reached yet".to_owned()),
            StoreHealth::Down(why) => Err(why.clone()),
        }
    }

    /// Serves gRPC until the life ends.
    pub async fn serve(
        self,
        listener: TcpListener,
        metrics: &Metrics,
        life: &Lifecycle,
    ) -> Result<(), ServeError> {
        let server = GrpcServer {
            name: "command",
            // The routes hold the way into the committer; it ends when they are gone.
            service: self.rpc.into_server(),
            descriptors: FILE_DESCRIPTOR_SET,
            health: self.health,
            elsewhere: "queries are at the query servers",
            limits: GrpcLimits {
                // An answer says what was written: it must not be refused for its size.
                calls: CallLimits { max_answer_bytes: None, ..CallLimits::default() },
                ..GrpcLimits::default()
            },
        };
        grpc::serve(listener, server, metrics, life).await
    }
}

fn committer(
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    metrics: &Metrics,
) -> Committer {
    Committer::new(log, clock, limits, metrics.register(CommitterMetrics::register))
}

/// Health says what the store says, until the end has begun.
async fn follow_store(mut store: watch::Receiver<StoreHealth>, health: Health, life: Lifecycle) {
    let follow = async {
        loop {
            if *store.borrow_and_update() == StoreHealth::Up {
                health.set_serving();
            } else {
                health.set_not_serving();
            }
            if store.changed().await.is_err() {
                return;
            }
        }
    };
    life.soft().run_until_cancelled(follow).await;
}
