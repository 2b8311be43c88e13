//! Bring a config back, or roll it back.

use axum::body::Body;
use axum::extract::State;
use configapi_proto::ApiError;
use configapi_proto::v1::restore_target::Moment;
use configapi_proto::v1::{RestoreRequest, RestoreTarget};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::params::{ConditionHeaders, NamePath, WriteHeaders};
use crate::accepts::Format;
use crate::answers::ReceiptView;
use crate::app::{Answer, App};
use crate::asked::{Asked, Params};
use crate::body::{self, MAX_RESTORE_BODY_BYTES, whole};
use crate::moment;
use crate::problem::Problem;
use crate::target::Target as ConfigTarget;
use crate::writes::{self, About, WriteParams};

/// What a config is restored to: at most one of the three. None means the last value of a deleted
/// config.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RestoreTarget)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// The value of this version.
    #[serde(default, deserialize_with = "whole::present")]
    #[schema(minimum = 1, nullable = false)]
    pub version: Option<u64>,
    /// The value that the config had at this time.
    #[serde(default, deserialize_with = "present")]
    #[schema(format = DateTime, nullable = false)]
    pub at: Option<String>,
    /// The value that the config had at this position of the log.
    #[serde(default, deserialize_with = "whole::present")]
    #[schema(nullable = false)]
    pub position: Option<u64>,
}

/// A text that is there; null would be a second way to say nothing.
pub(super) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl Target {
    /// The target on the wire. `field` is where in the request it stands, such as `commands[3].`.
    pub fn on_wire(&self, field: &str) -> Result<Option<RestoreTarget>, Problem> {
        let moment = match (self.version, self.at.as_deref(), self.position) {
            (None, None, None) => return Ok(None),
            (Some(version), None, None) => Moment::Version(version),
            (None, None, Some(position)) => Moment::Position(position),
            (None, Some(text), None) => Moment::Time(moment::time(text).ok_or_else(|| {
                ApiError::invalid(format!("{field}at"), "must be a time like 2024-01-15T10:30:00Z")
            })?),
            _ => {
                let wants = "goes with neither at nor position; say one of the three";
                return Err(ApiError::invalid(format!("{field}version"), wants).into());
            }
        };
        Ok(Some(RestoreTarget { moment: Some(moment) }))
    }
}

/// Restore a config
///
/// Brings a deleted config back, or rolls a live one back, to the value that it had at a version, a
/// time or a position. Without a body: the last value of a deleted config.
#[utoipa::path(
    post,
    path = "/config/{name}/restore",
    operation_id = "restore_config",
    tag = "configs",
    params(NamePath, WriteParams, WriteHeaders, ConditionHeaders),
    request_body(content = Option<Target>, description = "What to go back to"),
    responses(
        (status = 200, description = "The config has the value again", content(
            (String = "text/plain", example = json!("OK")),
            (ReceiptView<'static> = "application/json"),
        ), headers(
            ("ETag" = String, description = "The new version of the config"),
            ("ConfigApi-Token" = String, description = "Where in the log the restore is"),
        )),
        (status = 404, description = "There never was such a config: `CONFIG_NOT_FOUND`"),
        (status = 409, description = "There is no value to go back to: `RESTORE_REFUSED`; or \
            the log lost its tail: `LOG_CHANGED`"),
        (status = 412, description = "A precondition does not hold: `VERSION_CONFLICT`"),
        (status = 413, description = "The body is too large: `BODY_TOO_LARGE`"),
        (status = 415, description = "The body is not understood: `UNSUPPORTED_MEDIA_TYPE`"),
        (status = 422, description = "The key belongs to another command: `REQUEST_ID_REUSED`"),
    ),
)]
pub(crate) async fn restore(
    State(app): State<App>,
    config: ConfigTarget,
    Params(params): Params<WriteParams>,
    format: Format,
    mut asked: Asked,
    body: Body,
) -> Answer {
    let said: Option<Target> = body::json(&app, &mut asked, body, MAX_RESTORE_BODY_BYTES).await?;
    let target = match said {
        Some(target) => target.on_wire("")?,
        None => None,
    };
    let About { actor, reason, request_id } = About::of(&asked)?;
    let command = RestoreRequest {
        namespace: config.namespace,
        name: config.name,
        target,
        expected_version: None,
        request_id,
        validate_only: params.dry_run,
        actor,
        reason,
    };
    writes::commit(&app, asked, format, command).await
}
