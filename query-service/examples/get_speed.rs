//! Measures reads over the loopback: Get against a bare tonic server that answers with a constant,
//! and List of a thousand configs.
//!
//! `cargo run --release -p configapi-query-service --example get_speed -- <configs> <callers>`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a measurement prints, and stops at the first surprise"
)]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use configapi_domain::{
    Actor, ConfigEvent, ConfigKey, Content, Position, Provenance, ReasonText, Timestamp, Value,
    Version,
};
use configapi_event_log::{CommandPart, Draft, EventLog, LogId, MemoryLog, encode, seal};
use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::v1::query_service_server::{QueryService as Rpc, QueryServiceServer};
use configapi_proto::v1::{
    AtTimeRequest, AtTimeResponse, DiffRequest, DiffResponse, GetRequest, GetResponse,
    GetStatusRequest, GetStatusResponse, HistoryRequest, HistoryResponse, ListRequest,
    ListResponse, WatchRequest, WatchResponse,
};
use configapi_query_service::{QueryService, QuerySettings};
use configapi_runtime::clients::{ClientLimits, lazy_channel};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

const MEASURED: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 4;

type Client = QueryServiceClient<Channel>;

#[derive(Clone, Copy)]
enum Call {
    Get,
    List,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().unwrap());
    let configs = number(1_000);
    let callers = number(64);
    let server = clients(serve(configs).await);
    let answer = server[0].clone().get(request(0, configs)).await.unwrap().into_inner();
    let constant = clients(serve_constant(answer).await);
    for round in 1..=3 {
        let bare = rate(&constant, callers, configs, Call::Get).await;
        let real = rate(&server, callers, configs, Call::Get).await;
        println!("{round}: Get {real}, bare tonic {bare}");
    }
    let lists = rate(&server, callers.min(16), configs, Call::List).await;
    println!("List of up to 1,000: {lists}");
}

fn request(number: u64, configs: u64) -> GetRequest {
    let name = config_name(number.wrapping_mul(7_919) % configs);
    GetRequest { name, ..GetRequest::default() }
}

fn config_name(number: u64) -> String {
    format!("service-{:03}/setting-{number:07}", number % 500)
}

/// Calls a second, and what one costs both sides together.
async fn rate(clients: &[Client], callers: u64, configs: u64, call: Call) -> String {
    let cpu = cpu_seconds();
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for (caller, client) in (0..callers).zip(clients.iter().cycle()) {
        let mut client = client.clone();
        tasks.spawn(async move {
            let mut calls = 0;
            while began.elapsed() < MEASURED {
                match call {
                    Call::Get => {
                        client.get(request(caller + calls, configs)).await.unwrap();
                    }
                    Call::List => {
                        let request = ListRequest { page_size: 1_000, ..ListRequest::default() };
                        client.list(request).await.unwrap();
                    }
                }
                calls += 1;
            }
            calls
        });
    }
    let calls: u64 = tasks.join_all().await.into_iter().sum();
    let rate = calls as f64 / began.elapsed().as_secs_f64();
    format!("{rate:.0}/s ({:.1} µs on CPUs)", (cpu_seconds() - cpu) * 1e6 / calls as f64)
}

fn clients(address: SocketAddr) -> Vec<Client> {
    let uri: http::Uri = format!("http://{address}").parse().unwrap();
    let limits = ClientLimits::default();
    (0..CONNECTIONS).map(|_| Client::new(lazy_channel(uri.clone(), &limits))).collect()
}

async fn serve(configs: u64) -> SocketAddr {
    let log = Arc::new(MemoryLog::new(LogId(uuid::Uuid::from_u128(1)), Timestamp(0)));
    fill(&log, configs).await;
    let (metrics, life) = (Metrics::new("throughput", "0"), Lifecycle::default());
    let service = QueryService::start(log, &QuerySettings::default(), &metrics, &life).unwrap();
    let ready = service.readiness();
    while ready().is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { service.serve(listener, &metrics, &life).await });
    address
}

async fn fill(log: &MemoryLog, configs: u64) {
    let head = log.head().await.unwrap();
    let provenance = Provenance {
        actor: Actor::parse("somebody").unwrap(),
        reason: ReasonText::parse("deploy").unwrap(),
        ..Provenance::default()
    };
    let (mut rows, mut hash) = (Vec::new(), head.hash);
    for number in 0..configs {
        let value = Value::parse(format!("{number:0100}")).unwrap();
        let mut row = encode(&Draft {
            position: Position(number + 1),
            version: Version(1),
            recorded_at: Timestamp(0),
            key: &ConfigKey::parse("", &config_name(number)).unwrap(),
            event: &ConfigEvent::Set { content: Content::untyped(value), old_value: None },
            provenance: &provenance,
            request: None,
            part: CommandPart::WHOLE,
        });
        seal(hash, &mut row);
        hash = row.hash;
        rows.push(row);
    }
    log.append(&head, &rows).await.unwrap();
}

async fn serve_constant(answer: GetResponse) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(QueryServiceServer::new(Constant(answer)))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    address
}

struct Constant(GetResponse);

type Answer<T> = Result<Response<T>, Status>;

fn nothing<T>() -> Answer<T> {
    Err(Status::unimplemented("only Get is measured"))
}

#[tonic::async_trait]
impl Rpc for Constant {
    type WatchStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn get(&self, _: Request<GetRequest>) -> Answer<GetResponse> {
        Ok(Response::new(self.0.clone()))
    }

    async fn list(&self, _: Request<ListRequest>) -> Answer<ListResponse> {
        nothing()
    }

    async fn history(&self, _: Request<HistoryRequest>) -> Answer<HistoryResponse> {
        nothing()
    }

    async fn at_time(&self, _: Request<AtTimeRequest>) -> Answer<AtTimeResponse> {
        nothing()
    }

    async fn diff(&self, _: Request<DiffRequest>) -> Answer<DiffResponse> {
        nothing()
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        nothing()
    }

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Answer<GetStatusResponse> {
        nothing()
    }
}

/// What the process used of all CPUs so far. On a busy machine this tells more than the clock.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
    (ticks(12).unwrap_or_default() + ticks(13).unwrap_or_default()) / TICKS_PER_SECOND
}
