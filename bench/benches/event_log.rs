//! The inner parts that every event goes through: the stored form, the hash chain, and an append to
//! a log in memory.

#![expect(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::hint::black_box;

use configapi_domain::{
    ConfigEvent, ConfigKey, Content, Position, Provenance, Timestamp, Value, Version,
};
use configapi_event_log::{
    CommandPart, Draft, EventLog, Hash, LogId, MemoryLog, StoredEvent, decode, encode, seal,
    verify_link,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// As many events as one commit under load.
const BATCH: u64 = 256;

/// Events as a writer makes them, on the head of an empty log.
fn batch(first_hash: Hash) -> Vec<StoredEvent> {
    let mut previous = first_hash;
    let encode_one = |index| {
        let mut row = one(index);
        seal(previous, &mut row);
        previous = row.hash;
        row
    };
    (1..=BATCH).map(encode_one).collect()
}

fn one(position: u64) -> StoredEvent {
    let key = ConfigKey::parse("default", &format!("bench/0000/{position:03}")).expect("a key");
    let value = Value::parse("v".repeat(128)).expect("a value");
    let event =
        ConfigEvent::Set { content: Content::untyped(value.clone()), old_value: Some(value) };
    encode(&Draft {
        position: Position(position),
        version: Version(1),
        recorded_at: Timestamp(1_790_000_000_000_000),
        key: &key,
        event: &event,
        provenance: &Provenance::default(),
        request: None,
        part: CommandPart::WHOLE,
    })
}

fn stored_form(criterion: &mut Criterion) {
    let row = one(1);
    let mut group = criterion.benchmark_group("stored form, 128-byte values");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode", |bencher| bencher.iter(|| one(black_box(1))));
    group.bench_function("decode", |bencher| bencher.iter(|| decode(black_box(&row))));
    group.finish();
}

fn chain(criterion: &mut Criterion) {
    let mut row = one(1);
    let mut group = criterion.benchmark_group("hash chain, 128-byte values");
    group.throughput(Throughput::Elements(1));
    group.bench_function("seal", |bencher| bencher.iter(|| seal(Hash::ZERO, black_box(&mut row))));
    seal(Hash::ZERO, &mut row);
    group.bench_function("verify", |bencher| {
        bencher.iter(|| verify_link(Hash::ZERO, black_box(&row)));
    });
    group.finish();
}

fn append(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut group = criterion.benchmark_group("append of 256 events");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("memory", |bencher| {
        let empty = || {
            let log = MemoryLog::new(LogId(uuid::Uuid::nil()), Timestamp(0));
            let head = runtime.block_on(log.head()).expect("a head");
            (log, head, batch(head.hash))
        };
        bencher.iter_batched(
            empty,
            |(log, head, events)| runtime.block_on(log.append(&head, &events)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, stored_form, chain, append);
criterion_main!(benches);
