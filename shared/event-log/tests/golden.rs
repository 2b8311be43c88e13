//! Every stored form that was ever written must be read for ever, and its hashes must hold. The
//! files here were made by another program, from the description of the form alone. They never
//! change: a new form gets new files.

use configapi_event_log::domain::{
    Actor, ConfigEvent, ConfigKey, Content, ContentType, Position, Provenance, ReasonText,
    RequestId, Timestamp, TraceParent, Value, Version,
};
use configapi_event_log::{
    CommandPart, Draft, Fingerprint, Hash, LogId, Recorded, RequestKey, StoredEvent, decode,
    encode, event_type_named, genesis, hash_of, log_id_of, seal,
};
use serde::Deserialize;

const FILES: [&str; 8] = [
    include_str!("golden/v1/00-log-started.json"),
    include_str!("golden/v1/01-set-minimal.json"),
    include_str!("golden/v1/02-set-full.json"),
    include_str!("golden/v1/03-deleted.json"),
    include_str!("golden/v1/04-restored-from-deletion.json"),
    include_str!("golden/v1/05-restored-by-rollback.json"),
    include_str!("golden/v1/06-apply-first.json"),
    include_str!("golden/v1/07-apply-second.json"),
];

const START: i64 = 1_763_632_800_000_000;

/// A row as the files hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    position: u64,
    version: u64,
    recorded_at: i64,
    part_index: u32,
    part_size: u32,
    schema_version: u32,
    stream: String,
    event_type: String,
    request_id: Option<String>,
    payload: String,
    metadata: String,
    hash: String,
}

fn golden() -> Vec<StoredEvent> {
    let rows = FILES.iter().map(|file| serde_json::from_str::<Golden>(file).unwrap());
    rows.map(|golden| StoredEvent {
        position: Position(golden.position),
        version: Version(golden.version),
        recorded_at: Timestamp(golden.recorded_at),
        part: CommandPart { index: golden.part_index, size: golden.part_size },
        stream: golden.stream.into(),
        event_type: event_type_named(&golden.event_type),
        schema_version: golden.schema_version,
        request_id: golden.request_id.map(Into::into),
        payload: golden.payload.into(),
        metadata: golden.metadata.into(),
        hash: hash_from(&golden.hash),
    })
    .collect()
}

fn hash_from(hex: &str) -> Hash {
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let hash = Hash::from_slice(&bytes).unwrap();
    assert_eq!(hash.to_string(), hex);
    hash
}

fn typed(value: &str, kind: &str) -> Content {
    Content { value: Value::parse(value).unwrap(), content_type: ContentType::parse(kind).unwrap() }
}

fn keyed(id: &str, fingerprint: [u8; 16]) -> RequestKey {
    let id = RequestId::parse(id).unwrap();
    RequestKey { id, fingerprint: Fingerprint(fingerprint) }
}

fn by(actor: &str, reason: &str, request_id: &str) -> Provenance {
    Provenance {
        actor: Actor::parse(actor).unwrap(),
        reason: ReasonText::parse(reason).unwrap(),
        request_id: RequestId::parse(request_id).ok(),
        traceparent: None,
    }
}

/// What the files say, in today's words.
fn expected(rows: &[StoredEvent]) -> Vec<Recorded> {
    let json = || typed("{\"on\": true}\t\u{1F980}", "application/json");
    let off = || typed("off", "");
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let counted: Vec<u8> = (0..16).collect();
    let full = Provenance {
        traceparent: TraceParent::parse(trace),
        ..by("ada@example.org", "rollout of \"dark\" mode\nstep 2", "req-7")
    };
    let set = |content, old_value| ConfigEvent::Set { content, old_value };
    let restored = |content, old_value, version| ConfigEvent::Restored {
        content,
        old_value,
        restored_version: Version(version),
    };
    let apply = || (by("", "", "apply-1"), Some(keyed("apply-1", [0xFF; 16])));
    let events = [
        (set(off(), None), (Provenance::default(), None)),
        (set(json(), Some(off().value)), (full, Some(keyed("req-7", counted.try_into().unwrap())))),
        (ConfigEvent::Deleted { deleted: json() }, (by("bob", "", ""), None)),
        (restored(off(), None, 1), (by("", "", "made-by-server"), None)),
        (restored(json(), Some(off().value), 2), (by("", "back", ""), None)),
        (set(typed("", ""), None), apply()),
        (set(typed("", "text/plain"), None), apply()),
    ];
    let places = [
        (1, 1, "default", "feature.dark", CommandPart::WHOLE),
        (2, 1, "default", "feature.dark", CommandPart::WHOLE),
        (3, 2, "default", "feature.dark", CommandPart::WHOLE),
        (4, 3, "default", "feature.dark", CommandPart::WHOLE),
        (5, 3, "default", "feature.dark", CommandPart::WHOLE),
        (1, 4, "team-a", "a/b", CommandPart { index: 0, size: 2 }),
        (1, 4, "team-a", "a_B-9", CommandPart { index: 1, size: 2 }),
    ];
    let both = (1..).zip(events.into_iter().zip(places)).zip(&rows[1..]);
    both.map(|((position, ((event, (provenance, request)), place)), row)| Recorded {
        position: Position(position),
        version: Version(place.0),
        recorded_at: Timestamp(START + place.1),
        key: ConfigKey::parse(place.2, place.3).unwrap(),
        event,
        provenance,
        request,
        part: place.4,
        hash: row.hash,
    })
    .collect()
}

#[test]
fn every_form_ever_written_is_read_as_what_it_meant() {
    let rows = golden();
    let read: Vec<_> = rows[1..].iter().map(|row| decode(row).unwrap()).collect();
    assert_eq!(read, expected(&rows));
}

#[test]
fn what_is_written_today_is_the_newest_form_byte_for_byte() {
    let rows = golden();
    let mut previous = rows[0].hash;
    for (recorded, row) in expected(&rows).iter().zip(&rows[1..]) {
        let mut written = encode(&Draft {
            position: recorded.position,
            version: recorded.version,
            recorded_at: recorded.recorded_at,
            key: &recorded.key,
            event: &recorded.event,
            provenance: &recorded.provenance,
            request: recorded.request.as_ref(),
            part: recorded.part,
        });
        seal(previous, &mut written);
        assert_eq!(written, *row);
        previous = row.hash;
    }
}

#[test]
fn the_chain_of_the_files_holds_from_genesis_to_end() {
    let rows = golden();
    let mut previous = Hash::ZERO;
    for row in &rows {
        assert_eq!(hash_of(previous, row), row.hash, "at position {}", row.position);
        previous = row.hash;
    }
}

#[test]
fn a_log_begins_with_the_genesis_row_of_its_id() {
    let rows = golden();
    let id = "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    let log_id = LogId(uuid::Uuid::parse_str(id).unwrap());
    assert_eq!(genesis(log_id, Timestamp(START)), rows[0]);
    assert_eq!(log_id_of(&rows[0]), Some(log_id));
    assert_eq!(log_id.to_string(), id);
}
