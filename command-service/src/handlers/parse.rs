//! What the handlers have in common: wire fields into domain values. An error names the fields as
//! the contract does, and all that are wrong, so that nobody has to correct them one call at a time.

use configapi_domain::{
    Actor, ConfigKey, Content, ContentType, Invalid, Namespace, Point, Position, Provenance,
    ReasonText, RequestId, Timestamp, Value, Version,
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

/// Both, or what is wrong with either. What is said of it is said of the first.
fn both<A, B>(a: Result<A, ApiError>, b: Result<B, ApiError>) -> Result<(A, B), ApiError> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(first), Err(other)) => Err(first.with_violations_of(other)),
    }
}

/// A submission of these wishes.
pub(super) fn submission(
    wishes: Result<Vec<Wish>, ApiError>,
    about: &About<'_>,
) -> Result<Submission, ApiError> {
    let request_id = match about.request_id {
        "" => Ok(None),
        id => RequestId::parse(id).map(Some).map_err(|e| invalid("", e)),
    };
    let actor = Actor::parse(about.actor).map_err(|e| invalid("", e));
    let reason = ReasonText::parse(about.reason).map_err(|e| invalid("", e));
    let ((wishes, request_id), (actor, reason)) =
        both(both(wishes, request_id), both(actor, reason))?;
    Ok(Submission {
        wishes,
        provenance: Provenance { actor, reason, request_id, traceparent: None },
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
    action: Result<WishedAction, ApiError>,
) -> Result<Wish, ApiError> {
    let key = ConfigKey::parse(namespace, name).map_err(|e| invalid_key(at, e, name));
    let (action, key) = both(action, key)?;
    Ok(Wish { key, expected_version: expected_version.map(Version), action })
}

/// A value to set.
pub(super) fn set(at: &str, value: String, content_type: &str) -> Result<WishedAction, ApiError> {
    let value = Value::parse(value).map_err(|e| invalid(at, e));
    let content_type = ContentType::parse(content_type).map_err(|e| invalid(at, e));
    let (value, content_type) = both(value, content_type)?;
    Ok(WishedAction::Set(Content { value, content_type }))
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

/// What is wrong with a key. The domain says one thing, and looks at the name last.
fn invalid_key(at: &str, first: Invalid, name: &str) -> ApiError {
    let of_name = ConfigKey::parse(Namespace::DEFAULT, name).err();
    let of_name = of_name.filter(|of_name| of_name.field != first.field);
    let error = invalid(at, first);
    match of_name {
        None => error,
        Some(of_name) => error.with_violations_of(invalid(at, of_name)),
    }
}
