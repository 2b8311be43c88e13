//! The read server by itself: settings in, one life, one exit code out.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use configapi_event_log::domain::Timestamp;
use configapi_query_service::{QueryService, Settings as QuerySettings};
use configapi_runtime::grpc::{self, GrpcLimits};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use configapi_runtime::telemetry::LogSettings;
use configapi_runtime::{http, settings, telemetry};
use configapi_store::{Access, StoreUrl, open_patiently};
use tokio::net::TcpListener;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// ConfigApi's read server: follows the log and answers questions from memory
#[derive(Debug, Parser)]
#[command(name = "configapi-query-service", version)]
struct ProcessSettings {
    /// Where the log is kept (`postgres://user@host/database` or `sqlite:path`)
    #[arg(long, env = "CONFIGAPI_STORE", value_name = "URL", hide_env_values = true)]
    store: StoreUrl,

    #[command(flatten)]
    query: QuerySettings,

    /// Where metrics and probes are told (default: nowhere)
    #[arg(long, env = "CONFIGAPI_ADMIN_ADDR", value_name = "HOST:PORT")]
    admin_addr: Option<SocketAddr>,

    #[command(flatten)]
    log: LogSettings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings: ProcessSettings = settings::parse_or_exit();
    if settings.store == StoreUrl::Memory {
        return settings::wrong(
            "CONFIGAPI_STORE (--store): memory: is for one process only; use `configapi serve`, \
             or give postgres://… or sqlite:path",
        );
    }
    if let Err(error) = telemetry::init(&settings.log, "query-service", VERSION) {
        return settings::wrong(&telemetry::chain(&error).to_string());
    }
    let life = Lifecycle::default();
    match run(settings, life.clone()).await {
        Ok(()) => life.finish().await.into(),
        Err(error) => {
            tracing::error!(error = %telemetry::chain(&*error), "the server cannot start");
            ExitCode::FAILURE
        }
    }
}

async fn run(
    settings: ProcessSettings,
    life: Lifecycle,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    life.watch_signals()?;
    let metrics = Metrics::new("query-service", VERSION);
    let listener = TcpListener::bind(settings.query.addr).await?;
    // A reader makes no log, so the time does not matter.
    let opening = open_patiently(&settings.store, Access::Read, Timestamp::default);
    let Some(log) = life.soft().run_until_cancelled(opening).await else { return Ok(()) };
    let service = QueryService::start(log?, &settings.query, &metrics, &life)?;
    if let Some(address) = settings.admin_addr {
        let listener = TcpListener::bind(address).await?;
        let (metrics, life_of_admin, asked) = (metrics.clone(), life.clone(), service.clone());
        let ready = Arc::new(move || asked.readiness());
        life.spawn(async move {
            http::admin::serve(listener, &metrics, &life_of_admin, ready).await;
        });
    }
    let server = service.server(GrpcLimits::default());
    let life_of_server = life.clone();
    life.spawn_critical("query server", async move {
        grpc::serve(listener, server, &metrics, &life_of_server).await
    });
    Ok(())
}
