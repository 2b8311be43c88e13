//! Measures what the projection costs: time to replay a log, memory for each config and version,
//! time to write and read a snapshot, and how long it takes to find a config among few and many.
//!
//! `cargo run --release -p configapi-query-service --example replay -- <configs> <versions> <store>`
//!
//! The store is in memory unless a URL names another, and is filled as far as it is not. Use one
//! that is there for nothing else.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a measurement prints, and stops at the first surprise"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use configapi_domain::{
    Actor, ConfigEvent, ConfigKey, Content, ContentType, Position, Provenance, ReasonText,
    RequestId, Timestamp, Value, Version,
};
use configapi_event_log::{CommandPart, Draft, EventLog, encode, seal};
use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::v1::{GetRequest, GetStatusRequest};
use configapi_query_service::{QueryService, QuerySettings, snapshot};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use configapi_store::{Access, StoreUrl, open};
use tonic::Request;

/// What the servers use.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const VALUE_BYTES: usize = 100;
const BATCH: u64 = 10_000;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().unwrap());
    let configs: u64 = number(1_000_000);
    let versions: u64 = number(configs);
    let store: StoreUrl = arguments.next().map_or(StoreUrl::Memory, |url| url.parse().unwrap());
    let log = open(&store, Access::Write, Timestamp(0)).await.unwrap();
    let began = Instant::now();
    fill(&*log, configs, versions).await;
    println!("{configs} configs, {versions} versions, made in {:.1?}", began.elapsed());

    let before = resident_bytes();
    let dir = tempfile::tempdir().unwrap();
    let cpu = cpu_seconds();
    let (service, took) = start(Arc::clone(&log), dir.path(), 1).await;
    let cpu = cpu_seconds() - cpu;
    let rate = versions as f64 / took.as_secs_f64();
    println!("replayed in {took:.2?} ({cpu:.2} s on CPUs): {rate:.0} events/s");
    let held = resident_bytes().saturating_sub(before);
    println!("holds {:.0} bytes for each version", held as f64 / versions as f64);
    find(&service, configs).await;
    let began = Instant::now();
    let hash = state_hash(&service).await;
    println!("state hash in {:.2?}", began.elapsed());

    let path = loop {
        let first = std::fs::read_dir(dir.path()).unwrap().next();
        match first.map(|entry| entry.unwrap().path()).filter(|it| it.ends_with(name(versions))) {
            Some(path) => break path,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    drop(service);
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let info = snapshot::inspect(&path).unwrap();
    let (took, cpu) = (began.elapsed(), cpu_seconds() - cpu);
    println!("snapshot of {} bytes read in {took:.2?} ({cpu:.2} s on CPUs)", info.bytes);
    let (service, took) = start(log, dir.path(), u64::MAX).await;
    println!("started from the snapshot in {took:.2?}");
    assert_eq!(hash, state_hash(&service).await, "the snapshot holds something else");
}

fn name(versions: u64) -> String {
    format!("snapshot-000001-{versions:020}.cfgsnap")
}

async fn start(
    log: Arc<dyn EventLog>,
    dir: &std::path::Path,
    snapshot_events: u64,
) -> (QueryService, Duration) {
    let settings = QuerySettings {
        snapshot_dir: Some(dir.to_owned()),
        snapshot_events,
        ..QuerySettings::default()
    };
    let began = Instant::now();
    let metrics = Metrics::new("replay", "0");
    let service = QueryService::start(log, &settings, &metrics, &Lifecycle::default()).unwrap();
    while service.readiness()().is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (service, began.elapsed())
}

async fn state_hash(service: &QueryService) -> String {
    let request = GetStatusRequest { with_state_hash: true, consistency: None };
    let mut client = QueryServiceClient::new(service.server());
    let status = client.get_status(Request::new(request)).await.unwrap().into_inner();
    status.state_hash.expect("it was asked for")
}

async fn find(service: &QueryService, configs: u64) {
    const ROUNDS: u32 = 200_000;
    let mut client = QueryServiceClient::new(service.server());
    let (began, cpu) = (Instant::now(), cpu_seconds());
    for round in 0..u64::from(ROUNDS) {
        let name = config_name(round.wrapping_mul(0x9E37_79B9_7F4A_7C15) % configs);
        let request = GetRequest { name, ..GetRequest::default() };
        black_box(client.get(Request::new(request)).await.unwrap());
    }
    let (took, cpu) = (began.elapsed() / ROUNDS, cpu_seconds() - cpu);
    let micros = cpu * 1e6 / f64::from(ROUNDS);
    println!("a Get takes {took:.1?} without the network ({micros:.1} µs on CPUs)");
}

fn config_name(number: u64) -> String {
    format!("service-{:03}/setting-{number:07}", number % 500)
}

async fn fill(log: &dyn EventLog, configs: u64, versions: u64) {
    let provenance = |number: u64| Provenance {
        actor: Actor::parse(&format!("user-{}", number % 50)).unwrap(),
        reason: ReasonText::parse("deploy").unwrap(),
        request_id: RequestId::parse(
            &uuid::Uuid::from_u128(u128::from(number) << 64 | 7).to_string(),
        )
        .ok(),
        traceparent: None,
    };
    let mut head = log.head().await.unwrap();
    let mut number = head.position.0;
    while number < versions {
        let mut rows = Vec::new();
        let mut hash = head.hash;
        for at in number..versions.min(number + BATCH) {
            // Configs in no order, as they come in life.
            let config = at.wrapping_mul(7_919) % configs;
            let version = at / configs + 1;
            let old = at.checked_sub(configs).map(value);
            let content = Content {
                value: value(at),
                content_type: ContentType::parse("text/plain").unwrap(),
            };
            let mut row = encode(&Draft {
                position: Position(at + 1),
                version: Version(version),
                recorded_at: Timestamp(head.recorded_at.0 + i64::try_from(at - number).unwrap()),
                key: &ConfigKey::parse("", &config_name(config)).unwrap(),
                event: &ConfigEvent::Set { content, old_value: old },
                provenance: &provenance(at),
                request: None,
                part: CommandPart::WHOLE,
            });
            seal(hash, &mut row);
            hash = row.hash;
            rows.push(row);
        }
        log.append(&head, &rows).await.unwrap();
        number += rows.len() as u64;
        head = log.head().await.unwrap();
    }
}

fn value(number: u64) -> Value {
    let mut text = format!("value-{number}-");
    text.extend(std::iter::repeat_n('x', VALUE_BYTES - text.len()));
    Value::parse(text).unwrap()
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kibibytes: u64 =
        line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or_default();
    kibibytes * 1024
}

/// What the process used of all CPUs so far. On a busy machine this tells more than the clock.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
    (ticks(12).unwrap_or_default() + ticks(13).unwrap_or_default()) / TICKS_PER_SECOND
}
