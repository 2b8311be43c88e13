//! Puts the read server together and runs it: the one who follows the log, the one who asks for
//! heads, the one who writes snapshots, and the gRPC face before them.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use configapi_event_log::EventLog;
use configapi_proto::FILE_DESCRIPTOR_SET;
use configapi_proto::v1::query_service_server::{QueryServiceServer, SERVICE_NAME};
use configapi_runtime::grpc::{self, ENCODINGS, GrpcLimits, GrpcServer, Health, ServeError};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::board::Board;
use crate::core::Core;
use crate::limits::Limits;
use crate::metrics::QueryMetrics;
use crate::service::QueryRpcService;
use crate::settings::Settings;
use crate::snapshot::{Keeper, KeeperSettings, SnapshotDir};
use crate::tailer::Tailer;
use crate::view::Condition;

/// The largest request that is read. Requests hold names, tokens and numbers.
const MAX_REQUEST_BYTES: usize = 64 << 10;
/// The largest answer or frame that is sent: what clients accept by default.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// The read server could not be started, or could not serve.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The directory of snapshots cannot be used.
    #[error("the directory of snapshots {path} cannot be used")]
    SnapshotDir {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The gRPC server cannot be put together.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// A read server that follows its log. Clones are the same server.
#[derive(Debug, Clone)]
pub struct QueryService {
    core: Arc<Core>,
    health: Health,
}

impl QueryService {
    /// Begins to follow the log, for as long as the process lives.
    pub fn start(
        log: Arc<dyn EventLog>,
        settings: &Settings,
        metrics: &Metrics,
        life: &Lifecycle,
    ) -> Result<Self, RunError> {
        let limits = Limits { watchers: settings.max_watchers, ..settings.limits };
        let own_metrics = metrics.register(QueryMetrics::register);
        let core = Arc::new(Core::new(limits, own_metrics.clone()));
        let board = &core.board;
        let snapshots = match &settings.snapshot_dir {
            Some(path) => Some(open(path)?),
            None => None,
        };
        if let Some(dir) = snapshots.clone() {
            let when = KeeperSettings {
                events: settings.snapshot_events.max(1),
                interval: settings.snapshot_interval,
            };
            let keeper = Keeper::new(dir, when, Arc::clone(board), own_metrics.clone());
            run_critical(life, "snapshots", keeper.run());
        }
        let tailer =
            Tailer::new(Arc::clone(&log), Arc::clone(board), limits, own_metrics, snapshots);
        run_critical(life, "tailer", tailer.run());
        let asking = Arc::clone(&core);
        run_critical(life, "heads", async move { asking.freshness.ask_for_heads(&*log).await });

        let health = Health::default();
        run_critical(life, "health", mirror(Arc::clone(board), health.clone()));
        let (ending, soft) = (Arc::clone(board), life.soft().clone());
        life.spawn(async move {
            soft.cancelled().await;
            ending.begin_end();
        });
        Ok(Self { core, health })
    }

    /// The gRPC service, for a server of one's own.
    pub fn rpc(&self) -> QueryRpcService {
        QueryRpcService::new(Arc::clone(&self.core))
    }

    /// The service with its limits and encodings set, to be called within this process.
    pub fn grpc_server(&self) -> QueryServiceServer<QueryRpcService> {
        let service = QueryServiceServer::new(self.rpc())
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES);
        ENCODINGS.into_iter().fold(service, |service, encoding| {
            service.accept_compressed(encoding).send_compressed(encoding)
        })
    }

    /// The server that answers queries.
    pub fn server(&self, limits: GrpcLimits) -> GrpcServer {
        GrpcServer {
            name: "query",
            routes: Routes::new(self.grpc_server()),
            services: &[SERVICE_NAME],
            descriptors: FILE_DESCRIPTOR_SET,
            health: self.health.clone(),
            limits,
        }
    }

    /// Whether reads are served, and if not, why not.
    pub fn readiness(&self) -> Result<(), String> {
        match &self.core.board.view().condition {
            Condition::Serving => Ok(()),
            Condition::NotReady(why) => Err(why.to_string()),
        }
    }
}

/// Serves queries about a log until the end is asked for.
pub async fn run(
    settings: &Settings,
    log: Arc<dyn EventLog>,
    listener: TcpListener,
    metrics: &Metrics,
    life: &Lifecycle,
) -> Result<(), RunError> {
    let service = QueryService::start(log, settings, metrics, life)?;
    grpc::serve(listener, service.server(GrpcLimits::default()), metrics, life).await?;
    Ok(())
}

fn open(path: &Path) -> Result<SnapshotDir, RunError> {
    SnapshotDir::open(path)
        .map_err(|source| RunError::SnapshotDir { path: path.to_owned(), source })
}

/// Runs a task without which nothing is right, until the end is asked for.
fn run_critical(
    life: &Lifecycle,
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) {
    let soft = life.soft().clone();
    life.spawn_critical(name, async move {
        soft.run_until_cancelled_owned(task).await;
        Ok::<(), Infallible>(())
    });
}

/// Tells the health of the newest view.
async fn mirror(board: Arc<Board>, health: Health) {
    let mut changes = board.changes();
    loop {
        match board.view().condition {
            Condition::Serving => health.set_serving(),
            Condition::NotReady(_) => health.set_not_serving(),
        }
        // The board lives as long as this, so its signs do not end.
        let _ = changes.changed().await;
    }
}
