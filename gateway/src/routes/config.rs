//! One config: read it, set it, delete it.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use configapi_proto::Reason;
use configapi_proto::v1::{DeleteRequest, GetRequest, GetResponse, SetRequest};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use utoipa::IntoParams;

use super::list::point;
use super::params::{
    CacheHeaders, ConditionHeaders, CreationHeaders, FreshnessHeaders, FreshnessParams, Moment,
    NamePath, ValueText, WriteHeaders,
};
use crate::accepts::Format;
use crate::answers::{ReceiptView, RecordView};
use crate::app::{Answer, App};
use crate::asked::{Asked, Params};
use crate::body;
use crate::body::multipart::ValueForm;
use crate::body::value::ValueBody;
use crate::conditional::Wanted;
use crate::query::Parameters;
use crate::reads::token_header;
use crate::routes::Flag;
use crate::target::Target;
use crate::writes::{About, WriteParams};
use crate::{conditional, json, writes};

/// What kind of text a value is, as its writer said. It is not the content type of the answer, so
/// that no browser takes a value for a page.
const VALUE_TYPE: HeaderName = HeaderName::from_static("configapi-content-type");

/// When to look at the config.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadParams {
    /// The moment to look at: a time, a position, or a token. Without it, now.
    #[param(value_type = Option<Moment>, inline)]
    at: Option<String>,
}

impl Parameters for ReadParams {
    const KNOWN: Option<&'static [&'static str]> = Some(&["at", "consistency", "namespace"]);
}

/// Read a config
///
/// The value itself as text, or with `Accept: application/json` the whole record.
#[utoipa::path(
    get,
    path = "/config/{name}",
    operation_id = "read_config",
    tag = "configs",
    params(NamePath, ReadParams, FreshnessParams, FreshnessHeaders, CacheHeaders),
    responses(
        (status = 200, description = "The config", content(
            (String = "text/plain"),
            (RecordView<'static> = "application/json"),
        ), headers(
            ("ETag" = String, description = "The version of the config; of its record `\"3-json\"`"),
            ("ConfigApi-Token" = String, description = "The state of the log that was read"),
            ("ConfigApi-Content-Type" = String, description = "What kind of text the value is"),
        )),
        (status = 304, description = "The config is at the version that `If-None-Match` names"),
        (status = 404, description = "There is no such config: `CONFIG_NOT_FOUND`"),
        (status = 409, description = "The token belongs to a log that is gone: `LOG_CHANGED`"),
        (status = 412, description = "The config is at no version that `If-Match` names: \
            `VERSION_CONFLICT`"),
    ),
)]
pub(crate) async fn read(
    State(app): State<App>,
    target: Target,
    Params(params): Params<ReadParams>,
    format: Format,
    asked: Asked,
) -> Answer {
    let at = point(params.at.as_deref(), "at")?;
    let Target { namespace, name, .. } = target;
    let query = GetRequest { namespace, name, at, consistency: None };
    answer(&app, &asked, query, format).await
}

/// Asks for a config, and answers with it.
pub(super) async fn answer(app: &App, asked: &Asked, query: GetRequest, format: Format) -> Answer {
    let wanted = Wanted::of(&asked.headers)?;
    let GetResponse { config, state, .. } = app.ask(asked, query).await?;
    let Some(config) = config else { return Err(Reason::Internal.into()) };
    wanted.is_met_by(&config, state.as_ref())?;
    let token = token_header(state.as_ref());
    let tag = conditional::tag_of(config.version, format);
    if conditional::has_already(&asked.headers, tag.as_ref()) {
        return Ok(json::not_modified(tag, token));
    }
    let value_type = HeaderValue::from_str(&config.content_type);
    let mut response: Response = match format {
        Format::Json => json::json(&RecordView::of(&config))?,
        Format::Text => json::text(config.value),
    };
    let headers = response.headers_mut();
    json::revalidate(headers);
    json::stamp(headers, tag, token);
    if let Ok(value_type) = value_type
        && !value_type.is_empty()
    {
        headers.insert(VALUE_TYPE, value_type);
    }
    Ok(response)
}

/// What the query of a PUT may say. Anything else is refused, as for every write.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SetParams {
    /// Check everything, write nothing, and answer as if it had been written.
    #[serde(default, deserialize_with = "crate::asked::flag")]
    #[param(value_type = Option<Flag>, inline)]
    dry_run: bool,
    /// What kind of text the value is, for bodies that do not say it themselves.
    #[param(max_length = 255, pattern = "^[ -~]*$")]
    content_type: Option<String>,
    /// Read by `Target`.
    #[serde(rename = "namespace", default)]
    #[param(ignore)]
    _namespace: serde::de::IgnoredAny,
}

impl Parameters for SetParams {}

/// Set a config
///
/// Gives the config a value, whether or not it existed before. The body is JSON
/// (`{"value": "…"}`), the value itself as `text/plain`, or a form with a field `value`. Members that
/// are said elsewhere, such as `expected_version`, are refused, and so is another `name` or
/// `namespace`. A config that was deleted is refused; bring it back with restore.
#[utoipa::path(
    put,
    path = "/config/{name}",
    operation_id = "set_config",
    tag = "configs",
    params(
        NamePath, SetParams, WriteHeaders, ConditionHeaders, CreationHeaders,
    ),
    request_body(content(
        (ValueBody = "application/json"),
        (ValueText = "text/plain"),
        (ValueBody = "application/x-www-form-urlencoded"),
        (ValueForm = "multipart/form-data"),
    ), description = "The value"),
    responses(
        (status = 200, description = "The config has the value", content(
            (String = "text/plain", example = json!("OK")),
            (ReceiptView<'static> = "application/json"),
        ), headers(
            ("ETag" = String, description = "The new version of the config"),
            ("ConfigApi-Token" = String, description = "Where in the log the write is"),
        )),
        (status = 409, description = "The config was deleted: `CONFIG_DELETED`; or the log \
            lost its tail: `LOG_CHANGED`"),
        (status = 412, description = "A precondition does not hold: `VERSION_CONFLICT`"),
        (status = 413, description = "The body is too large: `BODY_TOO_LARGE`"),
        (status = 415, description = "The body is not understood: `UNSUPPORTED_MEDIA_TYPE`"),
        (status = 422, description = "The key belongs to another command: `REQUEST_ID_REUSED`"),
    ),
)]
pub(crate) async fn write(
    State(app): State<App>,
    target: Target,
    Params(SetParams { dry_run, content_type, .. }): Params<SetParams>,
    format: Format,
    mut asked: Asked,
    body: Body,
) -> Answer {
    let said = body::value::take(&app, &mut asked, body, &target).await?;
    let About { actor, reason, request_id } = About::of(&asked)?;
    let command = SetRequest {
        namespace: target.namespace,
        name: target.name,
        value: said.value,
        content_type: match said.content_type.as_str() {
            "" => content_type.unwrap_or_default(),
            _ => said.content_type,
        },
        expected_version: None,
        request_id,
        validate_only: dry_run,
        actor,
        reason,
    };
    writes::commit(&app, asked, format, command).await
}

/// Delete a config
///
/// Its history stays, and restore brings it back. A body is ignored, but for a JSON object with members
/// that are said elsewhere, such as `expected_version`, which is refused.
#[utoipa::path(
    delete,
    path = "/config/{name}",
    operation_id = "delete_config",
    tag = "configs",
    params(NamePath, WriteParams, WriteHeaders, ConditionHeaders),
    responses(
        (status = 200, description = "The config is deleted", content(
            (String = "text/plain", example = json!("OK")),
            (ReceiptView<'static> = "application/json"),
        ), headers(
            ("ETag" = String, description = "The version of the delete"),
            ("ConfigApi-Token" = String, description = "Where in the log the delete is"),
        )),
        (status = 404, description = "There never was such a config: `CONFIG_NOT_FOUND`"),
        (status = 408, description = "A body came too slowly: `REQUEST_TIMEOUT`"),
        (status = 410, description = "It is deleted already: `CONFIG_ALREADY_DELETED`"),
        (status = 412, description = "A precondition does not hold: `VERSION_CONFLICT`"),
        (status = 422, description = "The key belongs to another command: `REQUEST_ID_REUSED`"),
    ),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    target: Target,
    Params(params): Params<WriteParams>,
    format: Format,
    mut asked: Asked,
    body: Body,
) -> Answer {
    body::misplaced::none_in(&app, &mut asked, body, &target).await?;
    let About { actor, reason, request_id } = About::of(&asked)?;
    let command = DeleteRequest {
        namespace: target.namespace,
        name: target.name,
        expected_version: None,
        request_id,
        validate_only: params.dry_run,
        actor,
        reason,
    };
    writes::commit(&app, asked, format, command).await
}
