//! The gateway as a process of its own: settings, telemetry, and one HTTP server.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use configapi_gateway::{Gateway, GatewaySettings, UpstreamSettings, Upstreams};
use configapi_runtime::http::{HttpLimits, admin};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use configapi_runtime::telemetry::{self, LogSettings};
use configapi_runtime::trace::{self, TraceSettings};
use configapi_runtime::{failpoints, memory, settings};
use tokio::net::TcpListener;

/// Requests are many small allocations that are freed by another thread than made them; this one
/// is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVICE: &str = "configapi-gateway";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The REST gateway of `ConfigApi`
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
    /// Where metrics and probes are served beside the gateway's own address
    #[arg(long, env = "CONFIGAPI_ADMIN_ADDR", value_name = "HOST:PORT")]
    admin_addr: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    memory::stay_small();
    let settings: Settings = settings::parse_or_exit();
    if let Err(error) = failpoints::arm(&[]) {
        return settings::wrong(&error.to_string());
    }
    if let Err(error) = telemetry::init(&settings.log, SERVICE, VERSION) {
        return settings::wrong(&telemetry::chain(&error).to_string());
    }
    run(settings).await.unwrap_or_else(|wrong| settings::wrong(&wrong))
}

async fn run(settings: Settings) -> Result<ExitCode, String> {
    let life = Lifecycle::default();
    life.watch_signals().map_err(|error| format!("{SERVICE}: no signals: {error}"))?;
    let metrics = Metrics::new(SERVICE, VERSION);
    trace::init(&settings.trace, SERVICE, VERSION, &metrics)
        .map_err(|error| format!("{SERVICE}: {}", telemetry::chain(&error)))?;
    let listener = bind("--gateway-addr", settings.gateway.gateway_addr).await?;
    let admin_listener = match settings.admin_addr {
        Some(address) => Some(bind("--admin-addr", address).await?),
        None => None,
    };

    let upstreams = Upstreams::remote(&settings.upstreams);
    let gateway = Gateway::new(upstreams, settings.gateway.limits(), &metrics, &life);
    if let Some(listener) = admin_listener {
        let (metrics, serving, ready) = (metrics.clone(), life.clone(), gateway.readiness());
        life.spawn(async move { admin::serve(listener, &metrics, &serving, ready).await });
    }
    life.spawn_critical("gateway", async move {
        gateway.serve(listener, &HttpLimits::default()).await;
        Ok::<_, std::convert::Infallible>(())
    });
    let exit = life.finish().await;
    trace::finish().await;
    Ok(exit.into())
}

async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("{SERVICE}: {setting}: cannot listen on {address}: {error}"))
}
