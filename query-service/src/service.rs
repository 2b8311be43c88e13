//! The read server put together: who follows the log, who asks for heads, who writes snapshots, and
//! the gRPC face before them.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;

use configapi_event_log::{EventLog, Verdict};
use configapi_proto::FILE_DESCRIPTOR_SET;
use configapi_runtime::grpc::{self, ENCODINGS, GrpcLimits, GrpcServer, Health, ServeError};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::board::Board;
use crate::core::Core;
use crate::grpc::QueryRpc;
use crate::grpc::generated::query_service_server::QueryServiceServer;
use crate::limits::Limits;
use crate::metrics::QueryMetrics;
use crate::settings::QuerySettings;
use crate::snapshot::{Keeper, KeeperSettings, SnapshotDir};
use crate::tailer::Tailer;
use crate::view::Condition;
use crate::within::QueriesWithin;

/// The largest request that is read. Requests hold names, tokens and numbers.
pub const MAX_REQUEST_BYTES: usize = 64 << 10;
/// The largest answer or frame that is sent: what clients accept by default.
pub const MAX_ANSWER_BYTES: usize = 4 << 20;

/// The directory of snapshots cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the directory of snapshots (CONFIGAPI_SNAPSHOT_DIR) cannot be used")]
pub struct SnapshotDirError(#[source] io::Error);

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
        settings: &QuerySettings,
        metrics: &Metrics,
        life: &Lifecycle,
    ) -> Result<Self, SnapshotDirError> {
        let limits = Limits { watchers: settings.query_max_watchers, ..settings.limits };
        let own_metrics = metrics.register(QueryMetrics::register);
        let core = Arc::new(Core::new(limits, own_metrics.clone()));
        let board = &core.board;
        metrics.register(|registry| registry.register_collector(Box::new(board.lag())));
        let snapshots = match &settings.snapshot_dir {
            Some(path) => Some(SnapshotDir::open(path).map_err(SnapshotDirError)?),
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

    /// The service, to be called within this process without the form of the wire in between.
    pub fn within(&self) -> QueriesWithin {
        QueriesWithin::new(Arc::clone(&self.core))
    }

    /// The service as its listener serves it.
    pub fn server(&self) -> QueryServiceServer<QueryRpc> {
        let service = QueryServiceServer::new(QueryRpc::new(Arc::clone(&self.core)))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES);
        ENCODINGS.into_iter().fold(service, |service, encoding| {
            service.accept_compressed(encoding).send_compressed(encoding)
        })
    }

    /// Says, whenever asked, whether reads are served, and if not, why not.
    pub fn readiness(&self) -> impl Fn() -> Result<(), String> + Send + Sync + use<> {
        let board = Arc::clone(&self.core.board);
        move || match &board.view().condition {
            Condition::Serving => Ok(()),
            Condition::NotReady(why) => Err(why.to_string()),
        }
    }

    /// What is found of the log, for one who writes it in this process. It is open until the log was
    /// compared with what the newest snapshot holds.
    pub fn verdict(&self) -> watch::Receiver<Verdict> {
        self.core.board.verdict()
    }

    /// Serves gRPC until the life ends.
    pub async fn serve(
        self,
        listener: TcpListener,
        metrics: &Metrics,
        life: &Lifecycle,
    ) -> Result<(), ServeError> {
        let server = GrpcServer {
            name: "query",
            service: self.server(),
            descriptors: FILE_DESCRIPTOR_SET,
            health: self.health,
            elsewhere: "commands are at the command server",
            limits: GrpcLimits::default(),
        };
        grpc::serve(listener, server, metrics, life).await
    }
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
    let mut turns = board.turns();
    loop {
        match board.view().condition {
            Condition::Serving => health.set_serving(),
            Condition::NotReady(_) => health.set_not_serving(),
        }
        // The board lives as long as this, so its signs do not end.
        let _ = turns.changed().await;
    }
}
