//! What a config was at a time.

use axum::extract::State;
use configapi_proto::ApiError;
use configapi_proto::v1::point_in_time::Moment;
use configapi_proto::v1::{GetRequest, PointInTime};
use serde::Deserialize;
use utoipa::IntoParams;

use super::config::answer;
use super::params::{CacheHeaders, FreshnessHeaders, FreshnessParams, NamePath};
use crate::accepts::Format;
use crate::answers::RecordView;
use crate::app::{Answer, App};
use crate::asked::{Asked, Params};
use crate::moment;
use crate::problem::Problem;
use crate::query::Parameters;
use crate::target::Target;

/// Which time.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what `Target` reads")]
pub(crate) struct TimestampPath {
    /// An ISO 8601 time with an offset. A time in the future means now.
    #[param(format = DateTime, example = "2024-01-15T10:30:00Z")]
    timestamp: String,
}

/// What the query may say, all of which is read elsewhere.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct AtParams {}

impl Parameters for AtParams {
    const KNOWN: Option<&'static [&'static str]> = Some(&["consistency", "namespace"]);
}

/// Read a config as it was at a time
///
/// The value that the config had then as text, or with `Accept: application/json` the whole record.
#[utoipa::path(
    get,
    path = "/config/{name}/at/{timestamp}",
    operation_id = "read_config_at_time",
    tag = "configs",
    params(NamePath, TimestampPath, FreshnessParams, FreshnessHeaders, CacheHeaders),
    responses(
        (status = 200, description = "The config as it was", content(
            (String = "text/plain"),
            (RecordView<'static> = "application/json"),
        ), headers(
            ("ETag" = String, description = "The version that the config was at; of its \
            record `\"3-json\"`"),
            ("ConfigApi-Token" = String, description = "The state of the log that was read"),
            ("ConfigApi-Content-Type" = String, description = "What kind of text the value is"),
        )),
        (status = 304, description = "The config was at the version that `If-None-Match` names"),
        (status = 404, description = "There was no such config then: `CONFIG_NOT_FOUND`"),
        (status = 409, description = "The token belongs to a log that is gone: `LOG_CHANGED`"),
        (status = 412, description = "The config was at no version that `If-Match` names: \
            `VERSION_CONFLICT`"),
    ),
)]
pub(crate) async fn at_time(
    State(app): State<App>,
    target: Target,
    Params(AtParams {}): Params<AtParams>,
    format: Format,
    asked: Asked,
) -> Answer {
    let Target { namespace, name, timestamp, .. } = target;
    let time = moment::time(&timestamp).ok_or_else(invalid_time)?;
    let at = Some(PointInTime { moment: Some(Moment::Time(time)) });
    answer(&app, &asked, GetRequest { namespace, name, at, consistency: None }, format).await
}

fn invalid_time() -> Problem {
    Problem::from(ApiError::invalid("timestamp", moment::INVALID_TIME))
        .with_text(moment::INVALID_TIME)
}
