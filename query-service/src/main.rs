//! The read server by itself: settings in, one life, one exit code out.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use configapi_domain::Timestamp;
use configapi_event_log::EventLog;
use configapi_query_service::{FAILPOINTS, QUERY_ADDR, QueryService, QuerySettings};
use configapi_runtime::http::admin::AdminSettings;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::{Lifecycle, StopSettings};
use configapi_runtime::starting::{self, Reserved, refusing_calls};
use configapi_runtime::telemetry::LogSettings;
use configapi_runtime::trace::{self, TraceSettings};
use configapi_runtime::{failpoints, memory, process, settings, telemetry};
use configapi_store::{Access, StoreUrl, close, open_patiently};

/// Requests are many small allocations that are freed by another thread than made them; this one
/// is made for that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// ConfigApi's read server: follows the log and answers questions about it from memory
#[derive(Debug, Parser)]
#[command(name = "configapi-query-service", version)]
struct Settings {
    /// Where the log is kept (`postgres://user@host/database` or `sqlite:path`)
    #[arg(long, env = "CONFIGAPI_STORE", value_name = "URL", hide_env_values = true)]
    store: StoreUrl,

    #[command(flatten)]
    query: QuerySettings,

    #[command(flatten)]
    admin: AdminSettings,

    #[command(flatten)]
    stop: StopSettings,

    #[command(flatten)]
    log: LogSettings,

    #[command(flatten)]
    trace: TraceSettings,
}

pub(crate) fn main() -> io::Result<ExitCode> {
    process::run(start())
}

async fn start() -> ExitCode {
    memory::stay_small();
    let settings: Settings = settings::parse_or_exit();
    if settings.store == StoreUrl::Memory {
        return settings::wrong(
            "--store (CONFIGAPI_STORE): memory: is for one process only; use `configapi serve`, or give \
             postgres://… or sqlite:path",
        );
    }
    if let Err(error) = failpoints::arm(FAILPOINTS) {
        return settings::wrong(&error.to_string());
    }
    if let Err(error) = telemetry::init(&settings.log, "query-service", VERSION) {
        return settings::wrong(&telemetry::chain(&error).to_string());
    }
    let life = settings.stop.life();
    let started = run(settings, life.clone()).await;
    process::live(life, started, close).await
}

async fn run(
    settings: Settings,
    life: Lifecycle,
) -> Result<Option<Arc<dyn EventLog>>, Box<dyn std::error::Error + Send + Sync>> {
    life.watch_signals()?;
    let metrics = Metrics::new("query-service", VERSION);
    trace::init(&settings.trace, "configapi-query-service", VERSION, &metrics)?;
    let address = Reserved::new(settings.query.query_addr.bind(QUERY_ADDR).await?)?;
    let admin = settings.admin.start(&metrics, &life).await?;
    // A reader begins no log, so there is no time at which one would begin.
    let opening = open_patiently(&settings.store, Access::Read, Timestamp::default);
    let opening = life.soft().run_until_cancelled(opening);
    let refusing = || address.stand_in("starting", refusing_calls(admin.readiness()), &life);
    let Some(log) = starting::until(opening, refusing).await? else { return Ok(None) };
    let log = log?;
    let service = QueryService::start(Arc::clone(&log), &settings.query, &metrics, &life)?;
    admin.ready_as(Arc::new(service.readiness()));
    let life_of_server = life.clone();
    let listener = address.take()?;
    life.spawn_critical("query server", async move {
        service.serve(listener, &metrics, &life_of_server).await
    });
    Ok(Some(log))
}
