//! A command server of one's own for each test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use configapi_command_service::CommandService;
use configapi_command_service::clock::Clock;
use configapi_command_service::committer::Limits;
use configapi_domain::{Position, Timestamp};
use configapi_event_log::{
    EventLog, LogId, MemoryLog, PageLimit, Recorded, StoredEvent, Tail, decode,
};
use configapi_proto::v1::command_service_client::CommandServiceClient;
use configapi_proto::v1::{Receipt, SetRequest};
use configapi_proto::{ApiError, Reason};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

/// Time that moves by a microsecond whenever somebody looks.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

/// When every test begins.
pub const BEGINNING: i64 = 1_700_000_000_000_000;

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicI64::new(BEGINNING))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl TestClock {
    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }

    pub fn turn_back(&self, micros: i64) {
        self.0.fetch_sub(micros, Ordering::Relaxed);
    }
}

/// An empty log in memory.
pub fn memory_log() -> Arc<MemoryLog> {
    let id = LogId(configapi_event_log_id());
    Arc::new(MemoryLog::new(id, Timestamp(BEGINNING)))
}

/// Another log in memory that holds the same.
pub async fn copy_of(log: &dyn EventLog) -> Arc<MemoryLog> {
    let copy = memory_log();
    let page = log.read(Position::GENESIS, PageLimit::REPLAY).await.unwrap();
    copy.append(&copy.head().await.unwrap(), &page.events[1..]).await.unwrap();
    copy
}

fn configapi_event_log_id() -> uuid::Uuid {
    uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)
}

/// A command server and a client to it.
pub struct TestServer {
    pub address: SocketAddr,
    pub client: CommandServiceClient<Channel>,
    pub log: Arc<dyn EventLog>,
    pub clock: Arc<TestClock>,
    pub life: Lifecycle,
}

/// Starts a server on an empty log.
pub async fn start() -> TestServer {
    start_on(memory_log(), Limits::default()).await
}

/// Starts a server on this log.
pub async fn start_on(log: Arc<dyn EventLog>, limits: Limits) -> TestServer {
    let clock = Arc::new(TestClock::default());
    let metrics = Metrics::new("command-service", "test");
    let life = Lifecycle::new(Duration::from_secs(10));
    let service = CommandService::start(Arc::clone(&log), clock.clone(), limits, &metrics, &life);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server_life = life.clone();
    life.spawn(async move { service.serve(listener, &metrics, &server_life).await.unwrap() });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let client = CommandServiceClient::new(endpoint.connect_lazy())
        .max_decoding_message_size(16 << 20)
        .max_encoding_message_size(32 << 20);
    TestServer { address, client, log, clock, life }
}

impl TestServer {
    /// Sets a value, whatever the version.
    pub async fn set(&self, name: &str, value: &str) -> Result<Receipt, ApiError> {
        self.set_with(set_request(name, value)).await
    }

    pub async fn set_with(&self, request: SetRequest) -> Result<Receipt, ApiError> {
        let answer = self.client.clone().set(request).await;
        answer.map(|a| a.into_inner().receipt.unwrap()).map_err(|s| ApiError::from_status(&s))
    }

    /// Everything in the log after genesis, with every promise about the log checked.
    pub async fn events(&self) -> Vec<Recorded> {
        let rows = rows(&*self.log).await;
        rows.iter().map(|row| decode(row).unwrap()).collect()
    }
}

/// All rows after genesis: dense, chained, whole commands, versions dense.
pub async fn rows(log: &dyn EventLog) -> Vec<StoredEvent> {
    let genesis = log.read(Position(0), PageLimit::new(1, 1)).await.unwrap().events[0].clone();
    let mut tail = Tail::after(genesis.position, genesis.hash);
    let mut rows: Vec<StoredEvent> = Vec::new();
    loop {
        let page = log.read(tail.position(), PageLimit::TAIL).await.unwrap();
        let is_cut = page.is_cut;
        rows.extend(tail.advance(page).unwrap());
        if !is_cut {
            break;
        }
    }
    let mut versions = std::collections::HashMap::new();
    for row in &rows {
        let version = versions.entry(Arc::clone(&row.stream)).or_insert(0);
        *version += 1;
        assert_eq!(row.version.0, *version, "versions are dense");
    }
    rows
}

/// A request to set a value, with nothing else said.
pub fn set_request(name: &str, value: &str) -> SetRequest {
    SetRequest { name: name.to_owned(), value: value.to_owned(), ..SetRequest::default() }
}

/// The reason of a refusal.
pub fn reason<T>(answer: Result<Response<T>, Status>) -> Reason {
    match answer {
        Ok(_) => panic!("was accepted"),
        Err(status) => ApiError::from_status(&status).reason,
    }
}

/// The refusal.
pub fn refusal<T>(answer: Result<Response<T>, Status>) -> ApiError {
    match answer {
        Ok(_) => panic!("was accepted"),
        Err(status) => ApiError::from_status(&status),
    }
}
