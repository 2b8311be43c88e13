//! The inner parts that every event goes through: the stored form, the hash chain, and an append to
//! a log in memory, in SQLite, and, if `DATABASE_URL` names an empty database, in PostgreSQL.

#![expect(clippy::expect_used, reason = "what cannot be set up cannot be measured")]
#![expect(clippy::print_stdout, reason = "it is a program for a terminal")]

use std::hint::black_box;

use configapi_domain::{
    ConfigEvent, ConfigKey, Content, Position, Provenance, Timestamp, Value, Version,
};
use configapi_event_log::{
    CommandPart, Draft, Hash, Head, StoredEvent, decode, encode, seal, verify_link,
};
use configapi_store::{Access, StoreUrl, open};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// As many events as one commit under load.
const BATCH: u64 = 256;
/// When events are recorded that stand alone.
const BEGINNING: Timestamp = Timestamp(1_790_000_000_000_000);

/// Events as a writer makes them, on this head.
fn batch(head: &Head) -> Vec<StoredEvent> {
    let mut previous = head.hash;
    let encode_one = |index| {
        let mut row = one(index, head.recorded_at);
        seal(previous, &mut row);
        previous = row.hash;
        row
    };
    (head.position.0 + 1..=head.position.0 + BATCH).map(encode_one).collect()
}

fn one(position: u64, recorded_at: Timestamp) -> StoredEvent {
    let key = ConfigKey::parse("default", &format!("bench/0000/{position:09}")).expect("a key");
    let value = Value::parse("v".repeat(128)).expect("a value");
    let event =
        ConfigEvent::Set { content: Content::untyped(value.clone()), old_value: Some(value) };
    encode(&Draft {
        position: Position(position),
        version: Version(1),
        recorded_at,
        key: &key,
        event: &event,
        provenance: &Provenance::default(),
        request: None,
        part: CommandPart::WHOLE,
    })
}

fn stored_form(criterion: &mut Criterion) {
    let row = one(1, BEGINNING);
    let mut group = criterion.benchmark_group("stored form, 128-byte values");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode", |bencher| bencher.iter(|| one(black_box(1), BEGINNING)));
    group.bench_function("decode", |bencher| bencher.iter(|| decode(black_box(&row))));
    group.finish();
}

fn chain(criterion: &mut Criterion) {
    let mut row = one(1, BEGINNING);
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
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = format!("sqlite:{}", folder.path().join("log.db").display());
    let mut stores = vec![("memory", "memory:".to_owned()), ("SQLite", sqlite)];
    match std::env::var("DATABASE_URL") {
        Ok(url) => stores.push(("PostgreSQL", url)),
        Err(_) => println!("SKIPPED: append to PostgreSQL: DATABASE_URL is not set"),
    }
    let mut group = criterion.benchmark_group("append of 256 events");
    group.throughput(Throughput::Elements(BATCH));
    for (name, url) in stores {
        let url: StoreUrl = url.parse().expect("a store's URL");
        let log = open(&url, Access::Write, Timestamp(0));
        let log = runtime.block_on(log).expect("a log");
        group.bench_function(name, |bencher| {
            let next = || {
                let head = runtime.block_on(log.head()).expect("a head");
                let events = batch(&head);
                (head, events)
            };
            bencher.iter_batched(
                next,
                |(head, events)| runtime.block_on(log.append(&head, &events)).expect("an append"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, stored_form, chain, append);
criterion_main!(benches);
