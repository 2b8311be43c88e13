//! What those who run a server ask it: metrics and probes, on an address of their own. Must never
//! serve configs.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use clap::Args;
use http::{StatusCode, header::CONTENT_TYPE};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};
use tokio::net::TcpListener;
use tower::layer::util::Identity;

use super::HttpLimits;
use crate::{
    connections::ConnectionLimits,
    listen::{CannotListen, ListenAddress},
    metrics::{self, Metrics},
    shutdown::Lifecycle,
};

/// Enough for scrapers and probes.
const MAX_CONNECTIONS: usize = 100;

/// Says whether the server can serve now, and if not, why not.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Where a process tells its metrics and answers probes.
#[derive(Debug, Clone, Args)]
pub struct AdminSettings {
    /// Where metrics and probes are told (default: nowhere)
    #[arg(long, env = "CONFIGAPI_ADMIN_ADDR", value_name = "HOST:PORT")]
    pub admin_addr: Option<ListenAddress>,
}

impl AdminSettings {
    /// Listens there, if anywhere, and serves until the end is asked for: from the first moment, so that
    /// whoever asks learns that the process lives, though it may not be ready for long.
    pub async fn start(&self, metrics: &Metrics, life: &Lifecycle) -> Result<Admin, CannotListen> {
        let admin = Admin::default();
        let told = Box::new(Readiness { ready: admin.readiness(), life: life.clone() });
        metrics.register(|registry| registry.register_collector(told));
        let Some(address) = &self.admin_addr else { return Ok(admin) };
        let listener = address.bind("--admin-addr (CONFIGAPI_ADMIN_ADDR)").await?;
        let (metrics, life_of_server, ready) = (metrics.clone(), life.clone(), admin.readiness());
        life.spawn(async move { serve(listener, &metrics, &life_of_server, ready).await });
        Ok(admin)
    }
}

/// What is told there of a process whose work may not have begun yet.
#[derive(Clone, Default)]
pub struct Admin(Arc<OnceLock<Ready>>);

impl Admin {
    /// From now on the process is as ready as this says. Only the first call counts.
    pub fn ready_as(&self, ready: Ready) {
        let _ = self.0.set(ready);
    }

    /// Says, whenever asked, whether the process is ready.
    pub fn readiness(&self) -> Ready {
        let work = Arc::clone(&self.0);
        Arc::new(move || match work.get() {
            Some(ready) => ready(),
            None => Err("starting: the store is not open yet".to_owned()),
        })
    }
}

/// What `/readyz` says, as a number: there from the first moment, unlike what a server tells of its work.
struct Readiness {
    ready: Ready,
    life: Lifecycle,
}

impl Collector for Readiness {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "1 if the process is ready, as /readyz says";
        let is_ready = !self.life.leaving().is_cancelled() && (self.ready)().is_ok();
        let ready = ConstGauge::new(i64::from(is_ready));
        ready.encode(encoder.encode_descriptor("configapi_ready", help, None, MetricType::Gauge)?)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Asked {
    metrics: Metrics,
    life: Lifecycle,
    ready: Ready,
}

/// `/metrics`, `/livez` and `/readyz`.
pub fn router(metrics: &Metrics, life: &Lifecycle, ready: Ready) -> Router {
    Router::new()
        .route("/metrics", get(page))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readiness))
        .with_state(Asked { metrics: metrics.clone(), life: life.clone(), ready })
}

/// Serves the admin router until the end is asked for.
pub async fn serve(listener: TcpListener, metrics: &Metrics, life: &Lifecycle, ready: Ready) {
    let connections =
        ConnectionLimits { max_connections: MAX_CONNECTIONS, ..ConnectionLimits::default() };
    let limits = HttpLimits { connections, ..HttpLimits::default() };
    let router = router(metrics, life, ready);
    super::serve("admin", listener, router, |_| Identity::new(), &limits, metrics, life).await;
}

async fn page(State(asked): State<Asked>) -> Response {
    match asked.metrics.render() {
        Ok(page) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn readiness(State(asked): State<Asked>) -> Response {
    if asked.life.leaving().is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n").into_response();
    }
    match (asked.ready)() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
