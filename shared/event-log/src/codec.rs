//! Domain event ⇄ stored event. What was ever written stays readable: each stored form has its own
//! types here, decoding lifts an old form to today's by a plain function, and a type or version
//! that this program does not know is an error, never skipped.

use std::borrow::Cow;
use std::sync::Arc;

use configapi_domain::{
    ConfigEvent, ConfigKey, Content, Invalid, Position, Provenance, RequestId, Timestamp,
    TraceParent, Value, Version,
};
use serde::{Deserialize, Serialize};

use crate::{CommandPart, Fingerprint, Hash, Recorded, RequestKey, StoredEvent, Texts};

/// The version of the stored forms that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

const SET: &str = "ConfigValueSet";
const DELETED: &str = "ConfigValueDeleted";
const RESTORED: &str = "ConfigValueRestored";

/// The names of all event types that this program writes.
pub(crate) const EVENT_TYPES: [&str; 3] = [SET, DELETED, RESTORED];

/// Why a stored event cannot be understood. A reader stops here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No program of this version writes such events.
    #[error("position {position} holds an event of the unknown type {event_type:?}")]
    UnknownType {
        /// Where.
        position: Position,
        /// The type's name.
        event_type: String,
    },
    /// A newer program wrote it.
    #[error(
        "position {position} holds {event_type} in schema version {schema_version}, which is newer than this program"
    )]
    UnknownVersion {
        /// Where.
        position: Position,
        /// The type's name.
        event_type: String,
        /// The version.
        schema_version: u32,
    },
    /// It is not what its type and version say.
    #[error("position {position} cannot be read: {problem}")]
    Malformed {
        /// Where.
        position: Position,
        /// What is wrong, without the content.
        problem: String,
    },
}

/// An event that is about to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// Where it will stand.
    pub position: Position,
    /// Its version in its stream.
    pub version: Version,
    /// When it is recorded.
    pub recorded_at: Timestamp,
    /// Which config.
    pub key: &'a ConfigKey,
    /// What happened.
    pub event: &'a ConfigEvent,
    /// Who asked, why, under which ids.
    pub provenance: &'a Provenance,
    /// The caller's request, if keyed.
    pub request: Option<&'a RequestKey>,
    /// Which part of its command it is.
    pub part: CommandPart,
}

/// A text that borrows from its JSON where it can. Within an `Option`, a bare `Cow` never does.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetV1<'a> {
    #[serde(borrow)]
    value: Cow<'a, str>,
    #[serde(borrow)]
    old_value: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    content_type: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeletedV1<'a> {
    #[serde(borrow)]
    deleted_value: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    content_type: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoredV1<'a> {
    #[serde(borrow)]
    value: Cow<'a, str>,
    #[serde(borrow)]
    old_value: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    content_type: Option<Text<'a>>,
    restored_version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetadataV1<'a> {
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    actor: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    reason: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    request_id: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Text<'a>>,
}

/// Domain → stored. The hash is left zero; the writer seals the row once its place is certain.
pub fn encode(draft: &Draft<'_>) -> StoredEvent {
    let (event_type, payload) = encode_event(draft.event);
    let request_id = draft
        .request
        .filter(|_| draft.part.index == 0)
        .map(|request| Arc::from(request.id.as_str()));
    StoredEvent {
        position: draft.position,
        version: draft.version,
        recorded_at: draft.recorded_at,
        part: draft.part,
        stream: draft.key.shared_stream(),
        event_type: Cow::Borrowed(event_type),
        schema_version: SCHEMA_VERSION,
        request_id,
        payload,
        metadata: encode_metadata(draft),
        hash: Hash::ZERO,
    }
}

fn encode_event(event: &ConfigEvent) -> (&'static str, Arc<str>) {
    match event {
        ConfigEvent::Set { content, old_value } => {
            let form = SetV1 {
                value: content.value.as_str().into(),
                old_value: old_value.as_ref().map(|old| old.as_str().into()),
                content_type: stored_content_type(content),
            };
            (SET, json(&form, content_bytes(content) + value_bytes(old_value.as_ref())))
        }
        ConfigEvent::Deleted { deleted } => {
            let form = DeletedV1 {
                deleted_value: deleted.value.as_str().into(),
                content_type: stored_content_type(deleted),
            };
            (DELETED, json(&form, content_bytes(deleted)))
        }
        ConfigEvent::Restored { content, old_value, restored_version } => {
            let form = RestoredV1 {
                value: content.value.as_str().into(),
                old_value: old_value.as_ref().map(|old| old.as_str().into()),
                content_type: stored_content_type(content),
                restored_version: restored_version.0,
            };
            (RESTORED, json(&form, content_bytes(content) + value_bytes(old_value.as_ref())))
        }
    }
}

fn value_bytes(value: Option<&Value>) -> usize {
    value.map_or(0, |value| value.as_str().len())
}

fn content_bytes(content: &Content) -> usize {
    let content_type = content.content_type.as_ref().map_or(0, |kind| kind.as_str().len());
    content.value.as_str().len() + content_type
}

fn stored_content_type(content: &Content) -> Option<Text<'_>> {
    content.content_type.as_ref().map(|kind| kind.as_str().into())
}

fn encode_metadata(draft: &Draft<'_>) -> Arc<str> {
    let provenance = draft.provenance;
    let fingerprint = draft.request.map(|request| request.fingerprint.to_string());
    let form = MetadataV1 {
        actor: provenance.actor.as_str().into(),
        reason: provenance.reason.as_str().into(),
        request_id: provenance.request_id.as_ref().map(|id| id.as_str().into()),
        traceparent: provenance.traceparent.as_ref().map(|trace| trace.as_str().into()),
        fingerprint: fingerprint.as_deref().map(Text::from),
    };
    let ids = [&form.request_id, &form.traceparent, &form.fingerprint];
    let ids_bytes: usize = ids.into_iter().flatten().map(|id| id.0.len()).sum();
    json(&form, form.actor.len() + form.reason.len() + ids_bytes)
}

/// More than the names of all fields of a form take, and what stands around them.
const FORM_BYTES: usize = 96;

/// The JSON of a form whose texts have so many bytes: unless they need to be escaped, it is written without
/// being moved, and then to where all share it.
#[expect(clippy::expect_used, reason = "structs of texts and numbers always have a JSON form")]
fn json(form: &impl Serialize, texts_bytes: usize) -> Arc<str> {
    let mut bytes = Vec::with_capacity(FORM_BYTES + texts_bytes);
    serde_json::to_writer(&mut bytes, form).expect("texts and numbers serialise");
    std::str::from_utf8(&bytes).expect("JSON is text").into()
}

/// Stored → domain.
pub fn decode(row: &StoredEvent) -> Result<Recorded, DecodeError> {
    decode_sharing(row, &mut Texts::unremembered())
}

/// Stored → domain, with texts that are shared with the rows before it.
pub fn decode_sharing(row: &StoredEvent, texts: &mut Texts) -> Result<Recorded, DecodeError> {
    let event = decode_event(row, texts)?;
    let malformed = |problem: &dyn std::fmt::Display| malformed(row, problem);
    let key = ConfigKey::of_stream(Arc::clone(&row.stream)).map_err(|e| malformed(&e))?;
    let metadata: MetadataV1<'_> = parse(row, &row.metadata)?;
    let request_id = metadata
        .request_id
        .map(|id| RequestId::parse(&id.0))
        .transpose()
        .map_err(|e| malformed(&e))?;
    let request = match (&request_id, metadata.fingerprint) {
        (Some(id), Some(text)) => {
            let fingerprint = Fingerprint::parse(&text.0)
                .ok_or_else(|| malformed(&"the fingerprint is not 32 hexadecimal digits"))?;
            Some(RequestKey { id: id.clone(), fingerprint })
        }
        (_, None) => None,
        (None, Some(_)) => return Err(malformed(&"a fingerprint without a request id")),
    };
    Ok(Recorded {
        position: row.position,
        version: row.version,
        recorded_at: row.recorded_at,
        key,
        event,
        provenance: Provenance {
            actor: texts.actor(&metadata.actor).map_err(|e| malformed(&e))?,
            reason: texts.reason(&metadata.reason).map_err(|e| malformed(&e))?,
            request_id,
            traceparent: metadata.traceparent.and_then(|text| TraceParent::parse(&text.0)),
        },
        request,
        part: row.part,
        hash: row.hash,
    })
}

fn decode_event(row: &StoredEvent, texts: &mut Texts) -> Result<ConfigEvent, DecodeError> {
    let (position, schema_version) = (row.position, row.schema_version);
    let event_type = || row.event_type.to_string();
    let event = match (&*row.event_type, schema_version) {
        (SET, 1) => set_from_v1(parse(row, &row.payload)?, texts),
        (DELETED, 1) => deleted_from_v1(parse(row, &row.payload)?, texts),
        (RESTORED, 1) => restored_from_v1(parse(row, &row.payload)?, texts),
        (SET | DELETED | RESTORED, _) => {
            let event_type = event_type();
            return Err(DecodeError::UnknownVersion { position, event_type, schema_version });
        }
        _ => return Err(DecodeError::UnknownType { position, event_type: event_type() }),
    };
    event.map_err(|problem| malformed(row, &problem))
}

fn set_from_v1(form: SetV1<'_>, texts: &mut Texts) -> Result<ConfigEvent, Invalid> {
    Ok(ConfigEvent::Set {
        content: content_from(form.value, form.content_type, texts)?,
        old_value: form.old_value.map(|old| Value::parse(old.0)).transpose()?,
    })
}

fn deleted_from_v1(form: DeletedV1<'_>, texts: &mut Texts) -> Result<ConfigEvent, Invalid> {
    Ok(ConfigEvent::Deleted {
        deleted: content_from(form.deleted_value, form.content_type, texts)?,
    })
}

fn restored_from_v1(form: RestoredV1<'_>, texts: &mut Texts) -> Result<ConfigEvent, Invalid> {
    Ok(ConfigEvent::Restored {
        content: content_from(form.value, form.content_type, texts)?,
        old_value: form.old_value.map(|old| Value::parse(old.0)).transpose()?,
        restored_version: Version(form.restored_version),
    })
}

fn content_from(
    value: Cow<'_, str>,
    content_type: Option<Text<'_>>,
    texts: &mut Texts,
) -> Result<Content, Invalid> {
    let content_type = content_type.map_or(Ok(None), |text| texts.content_type(&text.0))?;
    Ok(Content { value: Value::parse(value)?, content_type })
}

fn parse<'a, T: Deserialize<'a>>(row: &StoredEvent, text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|error| {
        // serde's own text may quote the content; the category does not.
        let what = match error.classify() {
            serde_json::error::Category::Data => "JSON of another shape than its type has",
            _ => "not JSON",
        };
        malformed(row, &what)
    })
}

fn malformed(row: &StoredEvent, problem: &dyn std::fmt::Display) -> DecodeError {
    DecodeError::Malformed { position: row.position, problem: problem.to_string() }
}
