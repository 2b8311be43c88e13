//! What the handlers have in common: wire fields into domain values. An error names the field as
//! the contract does.

use configapi_domain::{
    Actor, ConfigKey, Content, ContentType, Invalid, Point, Position, Provenance, ReasonText,
    RequestId, Timestamp, Value, Version,
};
use configapi_proto::v1::{RestoreTarget, restore_target::Moment};
use configapi_proto::{ApiError, micros_from_timestamp};

use crate::committer::{Submission, Wish, WishedAction};

/// The fields that every request has beside its commands.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub request_id: &'a str,
    pub validate_only: bool,
    pub actor: &'a str,
    pub reason: &'a str,
}

/// A submission of these wishes.
pub(super) fn submission(wishes: Vec<Wish>, about: &About<'_>) -> Result<Submission, ApiError> {
    let request_id = match about.request_id {
        "" => None,
        id => Some(RequestId::parse(id).map_err(|e| invalid("", e))?),
    };
    Ok(Submission {
        wishes,
        provenance: Provenance {
            actor: Actor::parse(about.actor).map_err(|e| invalid("", e))?,
            reason: ReasonText::parse(about.reason).map_err(|e| invalid("", e))?,
            request_id,
            traceparent: None,
        },
        request: None,
        validate_only: about.validate_only,
        deadline: None,
    })
}

/// A wish. `at` is where in the request it stands, such as `commands[3].`.
pub(super) fn wish(
    at: &str,
    namespace: &str,
    name: &str,
    expected_version: Option<u64>,
    action: WishedAction,
) -> Result<Wish, ApiError> {
    let key = ConfigKey::parse(namespace, name).map_err(|e| invalid(at, e))?;
    Ok(Wish { key, expected_version: expected_version.map(Version), action })
}

/// A value to set.
pub(super) fn set(at: &str, value: String, content_type: &str) -> Result<WishedAction, ApiError> {
    let content = Content {
        value: Value::parse(value).map_err(|e| invalid(at, e))?,
        content_type: ContentType::parse(content_type).map_err(|e| invalid(at, e))?,
    };
    Ok(WishedAction::Set(content))
}

/// A point to restore.
pub(super) fn restore(at: &str, target: Option<&RestoreTarget>) -> Result<WishedAction, ApiError> {
    let point = match target.and_then(|target| target.moment.as_ref()) {
        None => None,
        Some(Moment::Version(0)) => {
            return Err(ApiError::invalid(format!("{at}target.version"), "must be 1 or more"));
        }
        Some(Moment::Version(version)) => Some(Point::Version(Version(*version))),
        Some(Moment::Position(position)) => Some(Point::Position(Position(*position))),
        Some(Moment::Time(time)) => {
            let micros = micros_from_timestamp(time)
                .map_err(|e| ApiError::invalid(format!("{at}target.time"), e.to_string()))?;
            Some(Point::Time(Timestamp(micros)))
        }
    };
    Ok(WishedAction::Restore(point))
}

fn invalid(at: &str, error: Invalid) -> ApiError {
    ApiError::invalid(format!("{at}{}", error.field), error.wants)
}
