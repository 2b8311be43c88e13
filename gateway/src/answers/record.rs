//! A config: what old clients see of it in a list, and all of it.

use configapi_proto::v1::Config;
use serde::Serialize;
use utoipa::ToSchema;

use crate::moment::Time;

/// A config as lists have always shown it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NameAndValue<'a> {
    /// The namespace; only there if all namespaces were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub namespace: Option<&'a str>,
    /// The name within the namespace.
    pub name: &'a str,
    /// The value.
    pub value: &'a str,
}

/// All of a config, and how it came by its value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Config)]
pub(crate) struct RecordView<'a> {
    /// The namespace that the config is in.
    namespace: &'a str,
    /// The name within the namespace.
    name: &'a str,
    /// The value.
    value: &'a str,
    /// What kind of text the value is. Empty if nobody said.
    content_type: &'a str,
    /// The version that gave the config this value: 1, 2, 3, and so on.
    version: u64,
    /// The position of that version's event in the whole log.
    position: u64,
    /// When the config first got a value.
    created_at: Time,
    /// When it got this one.
    updated_at: Time,
    /// Who made this version, as they said themselves.
    actor: &'a str,
    /// Why, in their own words.
    reason: &'a str,
}

impl<'a> RecordView<'a> {
    pub fn of(config: &'a Config) -> Self {
        Self {
            namespace: &config.namespace,
            name: &config.name,
            value: &config.value,
            content_type: &config.content_type,
            version: config.version,
            position: config.position,
            created_at: Time::promised(config.created_at.as_ref()),
            updated_at: Time::promised(config.updated_at.as_ref()),
            actor: &config.actor,
            reason: &config.reason,
        }
    }
}
