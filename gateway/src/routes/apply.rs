//! Many changes as one: all of them or none.

use axum::body::Body;
use axum::extract::State;
use configapi_proto::ApiError;
use configapi_proto::v1::ApplyRequest;
use http::HeaderValue;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use serde::Deserialize;
use utoipa::ToSchema;

use super::command::{CommandBody, Commands};
use super::params::WriteHeaders;
use crate::answers::{ReceiptView, ReceiptsView};
use crate::app::{Answer, App};
use crate::asked::{Asked, Params, invalid_header};
use crate::body::{self, MAX_APPLY_BODY_BYTES};
use crate::json;
use crate::problem::Problem;
use crate::target::Target as ConfigTarget;
use crate::writes::{About, WriteParams};

/// Commands that become one change.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Apply, example = json!({"commands": [
    {"action": "set", "name": "billing/limit", "value": "3"},
    {"action": "set", "namespace": "payments", "name": "limit", "value": "5"},
]}))]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyBody {
    /// The commands, in order. Later ones see what earlier ones did.
    #[schema(min_items = 1, max_items = 1000, value_type = Vec<CommandBody>)]
    commands: Commands,
}

/// A namespace that a command has from the query is wrong there, once, and not in the commands.
fn of_the_query(mut error: ApiError, silent: &[bool]) -> ApiError {
    let is_of_query = |field: &str| {
        let index = field.strip_prefix("commands[").and_then(|it| it.strip_suffix("].namespace"));
        let index = index.and_then(|index| index.parse::<usize>().ok());
        index.and_then(|index| silent.get(index)).is_some_and(|silent| *silent)
    };
    let mut is_named = false;
    error.field_violations.retain_mut(|wrong| {
        if !is_of_query(&wrong.field) {
            return true;
        }
        if let Some(rest) = error.message.strip_prefix(&wrong.field) {
            error.message = format!("namespace{rest}");
        }
        "namespace".clone_into(&mut wrong.field);
        !std::mem::replace(&mut is_named, true)
    });
    error
}

/// Apply many changes as one
///
/// Up to 1,000 commands on any configs of any namespaces: all of them are done or none, and every
/// reader sees them at once. What must hold first is the `expected_version` of each command;
/// `If-Match` and `If-None-Match` are refused.
#[utoipa::path(
    post,
    path = "/apply",
    operation_id = "apply",
    tag = "configs",
    params(WriteParams, WriteHeaders),
    request_body(content = ApplyBody, description = "The commands"),
    responses(
        (status = 200, description = "All is done", body = ReceiptsView<'static>, headers(
            ("ConfigApi-Token" = String, description = "Where in the log the change is"),
        )),
        (status = 404, description = "One config never was: `CONFIG_NOT_FOUND`"),
        (status = 409, description = "One command is refused: `CONFIG_DELETED`, \
            `RESTORE_REFUSED` or `VERSION_CONFLICT`; or the log lost its tail: `LOG_CHANGED`"),
        (status = 410, description = "One config is deleted already: `CONFIG_ALREADY_DELETED`"),
        (status = 413, description = "The body is too large: `BODY_TOO_LARGE`"),
        (status = 415, description = "The body is not understood: `UNSUPPORTED_MEDIA_TYPE`"),
        (status = 422, description = "The key belongs to another command: `REQUEST_ID_REUSED`"),
    ),
)]
pub(crate) async fn apply(
    State(app): State<App>,
    target: ConfigTarget,
    Params(params): Params<WriteParams>,
    mut asked: Asked,
    body: Body,
) -> Answer {
    if target.all_namespaces {
        return Err(ApiError::invalid("namespace", "must be a single one").into());
    }
    for header in [IF_MATCH, IF_NONE_MATCH] {
        if asked.headers.contains_key(&header) {
            let wants = "does not go with an Apply; say expected_version in its commands";
            return Err(invalid_header(&header, wants));
        }
    }
    let said: Option<ApplyBody> = body::json(&app, &mut asked, body, MAX_APPLY_BODY_BYTES).await?;
    let said = said.ok_or_else(|| ApiError::invalid("commands", "are missing"))?;
    let Commands(commands) = said.commands;
    let About { actor, reason, request_id } = About::of(&asked)?;
    let silent: Vec<bool> = commands.iter().map(|it| it.namespace().is_empty()).collect();
    let on_wire = |(index, it): (usize, CommandBody)| it.on_wire(index, &target.namespace);
    let command = ApplyRequest {
        commands: commands.into_iter().enumerate().map(on_wire).collect::<Result<_, _>>()?,
        request_id,
        validate_only: params.dry_run,
        actor,
        reason,
    };
    let sent = app.upstreams.commands.send(&asked.along, command).await;
    let answer = sent.map_err(|error| Problem::from(of_the_query(error, &silent)).in_full())?;
    let receipts = answer.receipts.iter().map(ReceiptView::of).collect();
    let mut response = json::json(&ReceiptsView { receipts })?;
    if let Some(last) = answer.receipts.last().filter(|last| !last.token.is_empty()) {
        app.own_writes.saw(&last.token);
        json::stamp(response.headers_mut(), None, HeaderValue::from_str(&last.token).ok());
    }
    Ok(response)
}
