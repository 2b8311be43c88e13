//! One thing that happened to a config, as histories and watches tell it: the row that old clients
//! know, with more in its metadata.

use configapi_proto::v1::Event;
use configapi_proto::v1::event::Change;
use configapi_proto::{ApiError, Reason};
use serde::Serialize;
use utoipa::ToSchema;

use super::hex;
use crate::moment::Time;

/// One thing that happened to a config.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub(crate) struct ChangeView<'a> {
    /// What happened: `ConfigValueSet`, `ConfigValueDeleted` or `ConfigValueRestored`.
    event_type: &'static str,
    /// What it happened to, and with which values.
    data: Data<'a>,
    /// Who, why, and where in the log.
    metadata: Metadata<'a>,
    /// When it was recorded.
    created_at: Time,
    /// The version of the config: 1, 2, 3, and so on.
    stream_version: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangeData)]
#[serde(untagged)]
enum Data<'a> {
    Set(SetData<'a>),
    Deleted(DeletedData<'a>),
    Restored(RestoredData<'a>),
}

/// The config got a value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigValueSet)]
#[serde(deny_unknown_fields)]
struct SetData<'a> {
    config_name: &'a str,
    /// The value that it got.
    value: &'a str,
    /// The value just before; null if there never was one.
    #[schema(required)]
    old_value: Option<&'a str>,
    timestamp: Time,
}

/// The config was deleted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigValueDeleted)]
#[serde(deny_unknown_fields)]
struct DeletedData<'a> {
    config_name: &'a str,
    /// The value that it had last.
    deleted_value: &'a str,
    timestamp: Time,
}

/// The config was brought back, or rolled back to an earlier value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigValueRestored)]
#[serde(deny_unknown_fields)]
struct RestoredData<'a> {
    config_name: &'a str,
    /// The value that it has again.
    value: &'a str,
    /// The value just before; null if the config was deleted.
    #[schema(required)]
    old_value: Option<&'a str>,
    /// The version that the value was taken from.
    restored_version: u64,
    timestamp: Time,
}

/// Who made a change, why, and where in the log it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangeMetadata)]
struct Metadata<'a> {
    /// The namespace of the config.
    namespace: &'a str,
    /// The position in the whole log: 1, 2, 3, and so on, without holes.
    position: u64,
    /// Who, as they said themselves.
    actor: &'a str,
    /// Why, in their own words.
    reason: &'a str,
    /// The `Idempotency-Key` of the command, or else the id of the request, as in `x-request-id`. It
    /// names one command only if it was a key. All changes of one Apply have the same.
    request_id: &'a str,
    /// The W3C trace context of the request. Empty if there was none.
    traceparent: &'a str,
    /// What kind of text the value is. Empty if nobody said.
    content_type: &'a str,
    /// The event's link in the hash chain, in hexadecimal.
    hash: String,
    /// The version of the form in which the event is stored.
    schema_version: u32,
    /// False on all changes of an Apply but its last.
    last_of_command: bool,
}

impl<'a> ChangeView<'a> {
    /// The row of an event. One that this version does not know must not be passed over in silence.
    pub fn of(event: &'a Event) -> Result<Self, ApiError> {
        let (config_name, timestamp) =
            (event.name.as_str(), Time::promised(event.recorded_at.as_ref()));
        let (event_type, content_type, data) = match &event.change {
            Some(Change::ValueSet(set)) => {
                let (value, old_value) = (set.value.as_str(), set.old_value.as_deref());
                let data = SetData { config_name, value, old_value, timestamp };
                ("ConfigValueSet", &set.content_type, Data::Set(data))
            }
            Some(Change::ValueDeleted(deleted)) => {
                let deleted_value = deleted.deleted_value.as_str();
                let data = DeletedData { config_name, deleted_value, timestamp };
                ("ConfigValueDeleted", &deleted.content_type, Data::Deleted(data))
            }
            Some(Change::ValueRestored(restored)) => {
                let data = RestoredData {
                    config_name,
                    value: &restored.value,
                    old_value: restored.old_value.as_deref(),
                    restored_version: restored.restored_version,
                    timestamp,
                };
                ("ConfigValueRestored", &restored.content_type, Data::Restored(data))
            }
            None => {
                tracing::error!(position = event.position, "an event of an unknown kind");
                let what = "there is an event of a kind that this gateway does not know";
                return Err(ApiError::new(Reason::Internal, what));
            }
        };
        let metadata = Metadata {
            namespace: &event.namespace,
            position: event.position,
            actor: &event.actor,
            reason: &event.reason,
            request_id: &event.request_id,
            traceparent: &event.traceparent,
            content_type,
            hash: hex(&event.hash),
            schema_version: event.schema_version,
            last_of_command: event.last_of_command,
        };
        let stream_version = event.version;
        Ok(Self { event_type, data, metadata, created_at: timestamp, stream_version })
    }
}
