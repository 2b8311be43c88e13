//! What a query server does with every event and for every question: folding it in, finding a config,
//! and finding what a config was in the past, with few and with many configs and versions.

#![expect(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::cell::RefCell;
use std::hint::black_box;

use configapi_domain::{
    ConfigEvent, ConfigKey, Content, Position, Provenance, Timestamp, Value, Version,
};
use configapi_event_log::{CommandPart, Draft, Hash, StoredEvent, Texts, encode};
use configapi_query_service::projection::{Anchor, Approach, Decoded, GROUP, Projector};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Memory as a query server has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const NAMESPACE: &str = "default";
/// Events folded in at once, about a page of the log.
const PAGE: u64 = 5_000;
/// An odd number, so that configs are met in no order, as in life.
const STRIDE: u64 = 7_919;

fn name(config: u64) -> String {
    format!("service-{:03}/setting-{config:07}", config % 500)
}

/// The event at a position of a log that sets so many configs in turns.
fn row(position: u64, configs: u64) -> StoredEvent {
    let index = position - 1;
    let config = index.wrapping_mul(STRIDE) % configs;
    let value = |at: u64| Value::parse(format!("{at:0128}")).expect("a value");
    let old_value = index.checked_sub(configs).map(value);
    let event = ConfigEvent::Set { content: Content::untyped(value(index)), old_value };
    encode(&Draft {
        position: Position(position),
        version: Version(index / configs + 1),
        recorded_at: Timestamp(i64::try_from(position).expect("a small number")),
        key: &ConfigKey::parse(NAMESPACE, &name(config)).expect("a key"),
        event: &event,
        provenance: &Provenance::default(),
        request: None,
        part: CommandPart::WHOLE,
    })
}

fn decoded(positions: std::ops::RangeInclusive<u64>, configs: u64) -> Vec<Decoded> {
    let mut texts = Texts::default();
    positions.map(|at| Decoded::from_row(&row(at, configs), &mut texts).expect("a row")).collect()
}

/// What has folded in so many events.
fn projector(events: u64, configs: u64) -> Projector {
    let genesis =
        Anchor { position: Position::GENESIS, hash: Hash::ZERO, recorded_at: Timestamp(0) };
    let mut projector = Projector::new(genesis);
    projector.begin_replay();
    apply_to(&mut projector, decoded(1..=events, configs));
    projector.end_replay();
    projector
}

fn apply_to(projector: &mut Projector, events: Vec<Decoded>) {
    let mut approach = Approach::new(events.len());
    let mut events = events.into_iter();
    while !events.as_slice().is_empty() {
        approach.go_on(projector.state(), events.as_slice());
        for event in events.by_ref().take(GROUP) {
            projector.apply(event).expect("the next event");
        }
    }
}

fn apply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply, 128-byte values");
    group.sample_size(20);
    for configs in [1_000, 100_000] {
        // The history goes on from one measurement to the next, as in life: a state is continued
        // once.
        let followed = RefCell::new(projector(configs, configs));
        let next_page = || {
            let next = followed.borrow().state().position().0 + 1;
            decoded(next..=next + PAGE - 1, configs)
        };
        group.throughput(Throughput::Elements(PAGE));
        group.bench_function(BenchmarkId::new("live, a state each 100", configs), |bencher| {
            bencher.iter_batched(
                next_page,
                |mut events| {
                    let mut projector = followed.borrow_mut();
                    while !events.is_empty() {
                        let later = events.split_off(events.len().min(100));
                        apply_to(&mut projector, std::mem::replace(&mut events, later));
                        black_box(projector.state().clone());
                    }
                },
                BatchSize::PerIteration,
            );
        });
        group.throughput(Throughput::Elements(configs));
        group.bench_function(BenchmarkId::new("replay", configs), |bencher| {
            bencher.iter_batched(
                || decoded(1..=configs, configs),
                |events| {
                    let genesis = projector(0, 1).state().genesis();
                    let mut projector = Projector::new(genesis);
                    projector.begin_replay();
                    apply_to(&mut projector, events);
                    projector.end_replay();
                    projector
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn get(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get");
    for configs in [1_000, 100_000] {
        let projector = projector(configs, configs);
        let state = projector.state();
        let names: Vec<_> = (0..configs).map(name).collect();
        let mut turn = 0;
        group.bench_function(BenchmarkId::from_parameter(configs), |bencher| {
            bencher.iter(|| {
                turn = (turn + 7_919) % names.len();
                let found = state.newest(NAMESPACE, &names[turn]);
                black_box(found.expect("a config").content().value.as_str().len())
            });
        });
    }
    group.finish();
}

fn in_order(criterion: &mut Criterion) {
    configapi_runtime::memory::hold_much();
    let mut group = criterion.benchmark_group("all configs in the order of keys, met in none");
    for configs in [1_000, 100_000] {
        let projector = projector(configs, configs);
        group.throughput(Throughput::Elements(configs));
        group.bench_function(BenchmarkId::from_parameter(configs), |bencher| {
            bencher.iter(|| {
                let bytes = |value: &Value| value.as_str().bytes().fold(0, u8::wrapping_add);
                let sums = projector.state().all().map(|newest| bytes(&newest.content().value));
                sums.fold(0, u8::wrapping_add)
            });
        });
    }
    group.finish();
}

fn at_time(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("at a time in the past, of one config");
    for versions in [10, 1_000, 100_000] {
        let projector = projector(versions, 1);
        let state = projector.state();
        let mut turn = 0;
        group.bench_function(BenchmarkId::from_parameter(versions), |bencher| {
            bencher.iter(|| {
                turn = (turn + STRIDE) % versions;
                let newest = state.newest(NAMESPACE, &name(0)).expect("a config");
                black_box(newest.at_position(Position(turn + 1)).expect("a version").version())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, apply, get, in_order, at_time);
criterion_main!(benches);
