//! Rows for the tests: a chained log of any shape, and strategies for everything a row may hold.

use configapi_event_log::domain::{
    Actor, ConfigEvent, ConfigKey, Content, ContentType, Position, Provenance, ReasonText,
    RequestId, Timestamp, TraceParent, Value, Version,
};
use configapi_event_log::{
    CommandPart, Draft, Epoch, Fingerprint, Head, LogId, RequestKey, StoredEvent, encode, genesis,
    seal,
};
use proptest::option;
use proptest::prelude::*;

pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000_000);

pub(crate) fn log_id() -> LogId {
    LogId(uuid::Uuid::from_u128(7))
}

/// A chained log: genesis, and one command of each of these sizes.
pub(crate) fn log(sizes: &[u32]) -> Vec<StoredEvent> {
    let mut rows = vec![genesis(log_id(), START)];
    for (command, size) in sizes.iter().enumerate() {
        for index in 0..*size {
            let last = rows.last().unwrap();
            let key = ConfigKey::parse("", &format!("{command}/{index}")).unwrap();
            let content = Content::untyped(Value::parse("value").unwrap());
            let mut row = encode(&Draft {
                position: last.position.next(),
                version: Version(1),
                recorded_at: Timestamp(START.0 + i64::try_from(command).unwrap()),
                key: &key,
                event: &ConfigEvent::Set { content, old_value: None },
                provenance: &Provenance::default(),
                request: None,
                part: CommandPart { index, size: *size },
            });
            seal(last.hash, &mut row);
            rows.push(row);
        }
    }
    rows
}

pub(crate) fn head(rows: &[StoredEvent]) -> Head {
    let last = rows.last().unwrap();
    Head {
        epoch: Epoch::FIRST,
        position: last.position,
        hash: last.hash,
        recorded_at: last.recorded_at,
    }
}

/// What an event is made of.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) position: Position,
    pub(crate) version: Version,
    pub(crate) recorded_at: Timestamp,
    pub(crate) key: ConfigKey,
    pub(crate) event: ConfigEvent,
    pub(crate) provenance: Provenance,
    pub(crate) request: Option<RequestKey>,
    pub(crate) part: CommandPart,
}

impl Made {
    pub(crate) fn encoded(&self) -> StoredEvent {
        encode(&Draft {
            position: self.position,
            version: self.version,
            recorded_at: self.recorded_at,
            key: &self.key,
            event: &self.event,
            provenance: &self.provenance,
            request: self.request.as_ref(),
            part: self.part,
        })
    }
}

fn value() -> impl Strategy<Value = Value> {
    any::<String>().prop_map(|text| Value::parse(text.replace('\0', "0")).unwrap())
}

fn content() -> impl Strategy<Value = Content> {
    (value(), "[ -~]{0,20}").prop_map(|(value, kind)| Content {
        value,
        content_type: ContentType::parse(&kind).unwrap(),
    })
}

fn event() -> impl Strategy<Value = ConfigEvent> {
    prop_oneof![
        (content(), option::of(value()))
            .prop_map(|(content, old_value)| ConfigEvent::Set { content, old_value }),
        content().prop_map(|deleted| ConfigEvent::Deleted { deleted }),
        (content(), option::of(value()), any::<u64>()).prop_map(|(content, old_value, version)| {
            ConfigEvent::Restored { content, old_value, restored_version: Version(version) }
        }),
    ]
}

fn provenance() -> impl Strategy<Value = Provenance> {
    let texts = ("[^\\p{Cc}]{0,20}", "[^\\p{Cc}]{0,20}[\n\t]{0,2}");
    let ids = (option::of("[!-~]{1,40}"), option::of(("[0-9a-f]{32}", "[0-9a-f]{16}")));
    (texts, ids).prop_map(|((actor, reason), (request_id, trace))| Provenance {
        actor: Actor::parse(&actor).unwrap(),
        reason: ReasonText::parse(&reason).unwrap(),
        request_id: request_id.map(|id| RequestId::parse(&id).unwrap()),
        traceparent: trace
            .map(|(trace, span)| TraceParent::parse(&format!("00-{trace}-{span}-01")).unwrap()),
    })
}

pub(crate) fn made() -> impl Strategy<Value = Made> {
    let place = (any::<u32>(), any::<u32>(), any::<i64>());
    let key = ("[a-z0-9-]{0,10}", "[A-Za-z0-9_-]{1,8}(/[A-Za-z0-9_.-]{0,5}x){0,3}");
    let part = (1_u32..=1_000).prop_flat_map(|size| (0..size, Just(size)));
    let parts = (place, key, event(), provenance(), option::of(any::<[u8; 16]>()), part);
    parts.prop_map(|(place, (namespace, name), event, provenance, fingerprint, (index, size))| {
        let key_of = |(id, bytes)| RequestKey { id, fingerprint: Fingerprint(bytes) };
        Made {
            position: Position(place.0.into()),
            version: Version(place.1.into()),
            recorded_at: Timestamp(place.2),
            key: ConfigKey::parse(&namespace, &name).unwrap(),
            event,
            request: provenance.request_id.clone().zip(fingerprint).map(key_of),
            provenance,
            part: CommandPart { index, size },
        }
    })
}
