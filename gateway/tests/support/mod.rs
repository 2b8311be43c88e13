//! A whole system in one test: a log in memory, both servers, and a gateway on a port of its own.

mod events;
mod got;
mod raw;
mod recorded;
mod servers;
mod slow_way;
mod starting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use configapi_command_service::CommandService;
use configapi_command_service::clock::{Clock as _, SystemClock};
use configapi_event_log::{EventLog, LogId, MemoryLog};
use configapi_gateway::{Gateway, GatewayLimits, Upstreams};
use configapi_proto::FILE_DESCRIPTOR_SET;
use configapi_proto::v1::command_service_server::SERVICE_NAME as COMMAND_SERVICE;
use configapi_proto::v1::query_service_server::SERVICE_NAME as QUERY_SERVICE;
use configapi_query_service::{QueryService, QuerySettings};
use configapi_runtime::grpc::edge::EdgeLayer;
use configapi_runtime::grpc::{CallLimits, methods};
use configapi_runtime::http::HttpLimits;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use reqwest::{Client, Method, RequestBuilder};
use tokio::net::TcpListener;

pub use self::events::{Event, Events};
pub use self::got::{Ask, Got};
pub use self::raw::{Raw, raw};
pub use self::recorded::{Wishes, token_wished};
pub use self::servers::{
    CommandServer, QueryServer, gateway_at, gateway_to, gateway_with, patient_gateway_at,
};
pub use self::slow_way::slow_way_to;
pub use self::starting::StartingGateway;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running gateway. It ends when this is dropped.
pub struct TestApp {
    pub address: SocketAddr,
    pub life: Lifecycle,
    client: Client,
}

impl TestApp {
    /// A system in this process that is ready.
    pub async fn start() -> Self {
        Self::start_with(GatewayLimits::default(), HttpLimits::default()).await
    }

    pub async fn start_with(limits: GatewayLimits, http: HttpLimits) -> Self {
        Self::start_on(&memory_log(), limits, http).await.0
    }

    /// A system on this log.
    pub async fn on(log: &Arc<dyn EventLog>) -> Self {
        Self::recorded(log).await.0
    }

    /// A system on this log, and what its gateway wishes of its query server.
    pub async fn recorded(log: &Arc<dyn EventLog>) -> (Self, Wishes) {
        Self::start_on(log, GatewayLimits::default(), HttpLimits::default()).await
    }

    async fn start_on(
        log: &Arc<dyn EventLog>,
        limits: GatewayLimits,
        http: HttpLimits,
    ) -> (Self, Wishes) {
        let (metrics, life) = (Metrics::new("test", "0"), Lifecycle::default());
        let commands = start_commands(Arc::clone(log), &metrics, &life);
        let settings = QuerySettings::default();
        let queries = QueryService::start(Arc::clone(log), &settings, &metrics, &life)
            .expect("the query service starts");
        let queries_ready = Arc::new(queries.readiness());
        let (recorded, wishes) = recorded::recorded(queries.within());
        let services = [COMMAND_SERVICE, QUERY_SERVICE];
        let methods = methods(FILE_DESCRIPTOR_SET, &services).expect("the contract is described");
        let edge = EdgeLayer::new(CallLimits::default(), &methods, &metrics);
        let upstreams = Upstreams::in_process(
            commands.within(),
            Arc::new(commands.readiness()),
            recorded,
            queries_ready,
            &edge,
        );
        let app = Self::before(upstreams, limits, http, metrics, life).await;
        app.until_healthy().await;
        (app, wishes)
    }

    /// A gateway before these servers, ready or not.
    pub async fn before(
        upstreams: Upstreams,
        limits: GatewayLimits,
        http: HttpLimits,
        metrics: Metrics,
        life: Lifecycle,
    ) -> Self {
        let gateway = Gateway::new(upstreams, limits, &metrics, &life);
        Self::serve(gateway, "127.0.0.1:0", http, life).await
    }

    /// A gateway that listens there.
    pub async fn serve(gateway: Gateway, at: &str, http: HttpLimits, life: Lifecycle) -> Self {
        let listener = TcpListener::bind(at).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        life.spawn(async move { gateway.serve(listener, &http).await });
        // A server that is impatient may close a kept connection just when it is used again.
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0);
        let client = client.build().expect("a client");
        Self { address, life, client }
    }

    pub async fn until_healthy(&self) {
        eventually(async || self.get("/v1/health").got().await.status == 200).await;
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn put(&self, path: &str) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// Sets a config of the default namespace, which must succeed.
    pub async fn set(&self, name: &str, value: &str) -> Got {
        let path = format!("/v1/config/{}", name.replace('/', "%2F"));
        let got = self.put(&path).json(&serde_json::json!({ "value": value })).got().await;
        assert_eq!((got.status, got.body.as_str()), (200, "OK"), "set {name}");
        got
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.life.abort("the test is over");
    }
}

/// Waits until something holds.
pub async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let asked_often = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked_often).await.expect("it holds eventually");
}

pub fn memory_log() -> Arc<dyn EventLog> {
    let now = SystemClock.now();
    Arc::new(MemoryLog::new(LogId::new_at(now), now))
}

pub fn start_commands(
    log: Arc<dyn EventLog>,
    metrics: &Metrics,
    life: &Lifecycle,
) -> CommandService {
    let clock = Arc::new(SystemClock);
    let limits = configapi_command_service::committer::Limits::default();
    CommandService::start(log, clock, limits, metrics, life)
}
