//! What a query server does with every event and for every question: folding it in, finding a config,
//! and finding what a config was in the past, with few and with many configs and versions.

#![expect(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::hint::black_box;

use configapi_domain::{
    ConfigEvent, ConfigKey, Content, Position, Provenance, Timestamp, Value, Version,
};
use configapi_event_log::{CommandPart, Draft, Hash, StoredEvent, encode};
use configapi_query_service::projection::{Anchor, Decoded, Projector, State};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

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
    positions.map(|at| Decoded::from_row(&row(at, configs)).expect("a row")).collect()
}

/// The state after so many events.
fn state(events: u64, configs: u64) -> State {
    let genesis =
        Anchor { position: Position::GENESIS, hash: Hash::ZERO, recorded_at: Timestamp(0) };
    let mut projector = Projector::new(State::empty(genesis));
    projector.begin_replay();
    for position in 1..=events {
        let row = row(position, configs);
        projector.apply(Decoded::from_row(&row).expect("a row")).expect("the next event");
    }
    projector.end_replay();
    projector.state().clone()
}

fn apply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply, 128-byte values");
    group.throughput(Throughput::Elements(PAGE));
    group.sample_size(20);
    for configs in [1_000, 100_000] {
        let before = state(configs, configs);
        let page = || decoded(configs + 1..=configs + PAGE, configs);
        group.bench_function(BenchmarkId::new("live", configs), |bencher| {
            bencher.iter_batched(
                || (Projector::new(before.clone()), page()),
                |(mut projector, events)| {
                    for event in events {
                        projector.apply(event).expect("the next event");
                    }
                    projector
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function(BenchmarkId::new("replay", configs), |bencher| {
            bencher.iter_batched(
                || (Projector::new(before.clone()), page()),
                |(mut projector, events)| {
                    projector.begin_replay();
                    for event in events {
                        projector.apply(event).expect("the next event");
                    }
                    projector
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn get(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get");
    for configs in [1_000, 100_000] {
        let state = state(configs, configs);
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

fn at_time(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("at a time in the past, of one config");
    for versions in [10, 1_000, 100_000] {
        let state = state(versions, 1);
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

criterion_group!(benches, apply, get, at_time);
criterion_main!(benches);
