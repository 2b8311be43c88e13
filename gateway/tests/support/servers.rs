//! Servers on ports of their own, which can be killed and started again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use configapi_event_log::EventLog;
use configapi_gateway::{GatewayLimits, UpstreamSettings, Upstreams};
use configapi_query_service::{QueryService, QuerySettings};
use configapi_runtime::http::HttpLimits;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use http::Uri;
use tokio::net::TcpListener;

use super::{TestApp, start_commands};

/// A command server on the network.
pub struct CommandServer(Server);
/// A query server on the network.
pub struct QueryServer(Server);

struct Server {
    address: SocketAddr,
    life: Lifecycle,
    metrics: Metrics,
}

impl CommandServer {
    pub async fn start(log: &Arc<dyn EventLog>, address: Option<SocketAddr>) -> Self {
        let (listener, server, metrics) = Server::new(address).await;
        let commands = start_commands(Arc::clone(log), &metrics, &server.life);
        let life = server.life.clone();
        server.life.spawn(async move {
            commands.serve(listener, &metrics, &life).await.expect("it serves");
        });
        Self(server)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub fn url(&self) -> Uri {
        self.0.url()
    }

    pub async fn kill(self) {
        self.0.kill().await;
    }
}

impl QueryServer {
    pub async fn start(log: &Arc<dyn EventLog>, address: Option<SocketAddr>) -> Self {
        Self::start_with(log, address, QuerySettings::default()).await
    }

    pub async fn start_with(
        log: &Arc<dyn EventLog>,
        address: Option<SocketAddr>,
        settings: QuerySettings,
    ) -> Self {
        let (listener, server, metrics) = Server::new(address).await;
        let queries = QueryService::start(Arc::clone(log), &settings, &metrics, &server.life)
            .expect("it starts");
        let life = server.life.clone();
        server.life.spawn(async move {
            queries.serve(listener, &metrics, &life).await.expect("it serves");
        });
        Self(server)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// How many calls of a method it has, streams included.
    pub fn in_flight(&self, method: &str) -> usize {
        let of = r#"grpc_service="configapi.v1.QueryService",grpc_method="#;
        let name = format!("grpc_server_in_flight{{{of}\"{method}\"}} ");
        let page = self.0.metrics.render().expect("renders");
        let line = page.lines().find_map(|line| line.strip_prefix(&name)).expect("it is counted");
        line.parse().expect("a number")
    }

    pub fn url(&self) -> Uri {
        self.0.url()
    }

    pub async fn kill(self) {
        self.0.kill().await;
    }
}

impl Server {
    async fn new(address: Option<SocketAddr>) -> (TcpListener, Self, Metrics) {
        let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_taken) => tokio::task::yield_now().await,
            }
        };
        let address = listener.local_addr().expect("an address");
        let metrics = Metrics::new("test", "0");
        let server = Self { address, life: Lifecycle::default(), metrics: metrics.clone() };
        (listener, server, metrics)
    }

    fn url(&self) -> Uri {
        format!("http://{}", self.address).parse().expect("a URL")
    }

    /// Drops everything at once, connections included.
    async fn kill(self) {
        self.life.abort("killed");
        self.life.finish().await;
    }
}

/// A gateway to servers on the network.
pub async fn gateway_to(commands: &CommandServer, queries: &[&QueryServer]) -> TestApp {
    gateway_with(HttpLimits::default(), commands, queries).await
}

/// A gateway with these limits to servers on the network.
pub async fn gateway_with(
    http: HttpLimits,
    commands: &CommandServer,
    queries: &[&QueryServer],
) -> TestApp {
    let settings = UpstreamSettings {
        command_url: commands.url(),
        query_url: queries.iter().map(|server| server.url()).collect(),
    };
    gateway_at(&settings, http).await
}

/// A gateway to whatever is at these addresses.
pub async fn gateway_at(settings: &UpstreamSettings, http: HttpLimits) -> TestApp {
    patient_gateway_at(settings, http, Duration::from_secs(1)).await
}

/// A gateway to whatever is at these addresses, which waits so long for it.
pub async fn patient_gateway_at(
    settings: &UpstreamSettings,
    http: HttpLimits,
    timeout: Duration,
) -> TestApp {
    let life = Lifecycle::default();
    let upstreams = Upstreams::remote(settings);
    let limits = GatewayLimits { timeout, ..GatewayLimits::default() };
    let metrics = Metrics::new("test", "0");
    TestApp::before(upstreams, limits, http, metrics, life).await
}
