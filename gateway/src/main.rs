//! The gateway as a process of its own: settings, telemetry, and one HTTP server.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use configapi_gateway::{GATEWAY_ADDR, Gateway, GatewaySettings, UpstreamSettings, Upstreams};
use configapi_runtime::http::HttpLimits;
use configapi_runtime::http::admin::AdminSettings;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::{Lifecycle, StopSettings};
use configapi_runtime::telemetry::{self, LogSettings};
use configapi_runtime::trace::{self, TraceSettings};
use configapi_runtime::{failpoints, memory, process, settings};

/// Requests are many small allocations that are freed by another thread than made them; this one
/// is made for that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SERVICE: &str = "configapi-gateway";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The REST gateway of ConfigApi
#[derive(Debug, Parser)]
#[command(name = SERVICE, version)]
struct Settings {
    #[command(flatten)]
    gateway: GatewaySettings,
    #[command(flatten)]
    upstreams: UpstreamSettings,
    #[command(flatten)]
    log: LogSettings,
    #[command(flatten)]
    trace: TraceSettings,
    #[command(flatten)]
    admin: AdminSettings,
    #[command(flatten)]
    stop: StopSettings,
}

fn main() -> io::Result<ExitCode> {
    process::run(start())
}

async fn start() -> ExitCode {
    memory::stay_small();
    let settings: Settings = settings::parse_or_exit();
    if let Err(error) = failpoints::arm(&[]) {
        return settings::wrong(&error.to_string());
    }
    if let Err(error) = telemetry::init(&settings.log, SERVICE, VERSION) {
        return settings::wrong(&telemetry::chain(&error).to_string());
    }
    let life = settings.stop.life();
    let started = run(settings, &life).await;
    process::live(life, started, async |()| ()).await
}

async fn run(
    settings: Settings,
    life: &Lifecycle,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    life.watch_signals()?;
    let metrics = Metrics::new(SERVICE, VERSION);
    trace::init(&settings.trace, SERVICE, VERSION, &metrics)?;
    let listener = settings.gateway.gateway_addr.bind(GATEWAY_ADDR).await?;
    let admin = settings.admin.start(&metrics, life).await?;
    let upstreams = Upstreams::remote(&settings.upstreams);
    let gateway = Gateway::new(upstreams, settings.gateway.limits(), &metrics, life);
    admin.ready_as(gateway.readiness());
    life.spawn_critical("gateway", async move {
        gateway.serve(listener, &HttpLimits::default()).await;
        Ok::<_, std::convert::Infallible>(())
    });
    Ok(())
}
