//! Servers of one's own for each test, and the binary to talk to them.

mod binary;
pub mod database;
mod proxy;
mod serving;
pub mod stored;

use std::net::SocketAddr;
use std::sync::Arc;

use configapi_command_service::CommandService;
use configapi_command_service::clock::{Clock as _, SystemClock};
use configapi_command_service::committer::Limits;
use configapi_event_log::{EventLog, LogId, MemoryLog};
use configapi_query_service::{QueryService, QuerySettings};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub use self::binary::{Configapi, Ended, Running, configapi};
pub use self::proxy::{Limit, Proxy};
pub use self::serving::Serving;

/// A command server and a query server on one log in memory.
pub struct Servers {
    runtime: Runtime,
    life: Lifecycle,
    pub command: SocketAddr,
    pub query: SocketAddr,
}

impl Servers {
    /// Starts both, and waits until they serve.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let life = Lifecycle::default();
        let (command, query) = runtime.block_on(serve(life.clone()));
        let servers = Self { runtime, life, command, query };
        for address in [command, query] {
            let url = format!("grpc://{address}");
            // The binary itself tells when a server is ready; it has 3 seconds each time.
            let is_ready =
                (0..20).any(|_| configapi(["healthcheck", "--url", &url]).ends().code == 0);
            assert!(is_ready, "{address} does not serve");
        }
        servers
    }

    /// The binary, told where these servers are. Every read sees every write before it.
    pub fn configapi<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Configapi {
        configapi(arguments)
            .env("CONFIGAPI_COMMAND_URL", &format!("http://{}", self.command))
            .env("CONFIGAPI_QUERY_URL", &format!("http://{}", self.query))
    }

    /// The same for a read that must see every write before it.
    pub fn read<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ended {
        self.configapi(arguments).arg("--linearizable").ends().succeeded()
    }

    /// Sets a config; answers the token.
    pub fn set(&self, name: &str, value: &str) -> String {
        self.configapi(["set", name, "-o", "raw", "--", value])
            .ends()
            .succeeded()
            .stdout
            .trim()
            .to_owned()
    }

    /// A way to a server, whose connections in turn meet these limits.
    pub fn proxy(&self, to: SocketAddr, limits: impl IntoIterator<Item = Limit>) -> Proxy {
        Proxy::start(self.runtime.handle(), to, limits)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.life.abort("the test is over");
    }
}

async fn serve(life: Lifecycle) -> (SocketAddr, SocketAddr) {
    let metrics = Metrics::new("test", "0");
    let log: Arc<dyn EventLog> = {
        let now = SystemClock.now();
        Arc::new(MemoryLog::new(LogId::new_at(now), now))
    };
    let command = CommandService::start(
        Arc::clone(&log),
        Arc::new(SystemClock),
        Limits::default(),
        &metrics,
        &life,
    );
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let command_address = listener.local_addr().unwrap();
    {
        let (metrics, life) = (metrics.clone(), life.clone());
        tokio::spawn(async move { command.serve(listener, &metrics, &life).await });
    }
    let query = QueryService::start(log, &QuerySettings::default(), &metrics, &life).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let query_address = listener.local_addr().unwrap();
    tokio::spawn(async move { query.serve(listener, &metrics, &life).await });
    (command_address, query_address)
}
