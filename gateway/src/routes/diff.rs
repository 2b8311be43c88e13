//! What differs between two moments.

use axum::extract::State;
use configapi_proto::v1::{DiffRequest, DiffResponse, ReadState};
use configapi_proto::{ApiError, Reason};
use http::Uri;
use serde::Deserialize;
use utoipa::IntoParams;

use super::list::point;
use super::params::{CacheHeaders, FreshnessHeaders, FreshnessParams, Moment};
use crate::answers::{DiffEntryView, DiffView, StateView};
use crate::app::{Answer, App};
use crate::asked::{Asked, Params};
use crate::paging::{self, PageParams, Paged, Writer};
use crate::query::Parameters;
use crate::target::Target;

/// Which moments, and which configs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DiffParams {
    /// The moment to compare from: a time, a position, or a token.
    #[param(value_type = Moment, inline)]
    from: Option<String>,
    /// The moment to compare to; without it, now. It may be earlier.
    #[param(value_type = Option<Moment>, inline)]
    to: Option<String>,
    /// Only configs whose names begin with this text.
    #[serde(default)]
    #[param(max_length = 256, pattern = "^[A-Za-z0-9_./-]*$")]
    prefix: String,
}

impl Parameters for DiffParams {
    const KNOWN: Option<&'static [&'static str]> =
        Some(&["from", "to", "prefix", "limit", "cursor", "consistency", "namespace"]);
}

impl Paged for DiffRequest {
    fn turn_to(&mut self, page_token: String) {
        self.page_token = page_token;
    }

    fn next_page(answer: &DiffResponse) -> &str {
        &answer.next_page_token
    }

    fn state(answer: &DiffResponse) -> Option<&ReadState> {
        answer.to_state.as_ref()
    }

    /// Both states: the one that is compared from moves with the present if it lies in the future.
    fn tag(answer: &DiffResponse) -> String {
        let token = |state: &Option<ReadState>| state.as_ref().map(|state| state.token.clone());
        match (token(&answer.from_state), token(&answer.to_state)) {
            (Some(from), Some(to)) => format!("{from}..{to}"),
            _ => String::new(),
        }
    }

    fn opening(answer: &DiffResponse) -> Result<Vec<u8>, ApiError> {
        let state = |state: Option<&ReadState>| {
            serde_json::to_string(&state.map(StateView::of))
                .map_err(|_| ApiError::from(Reason::Internal))
        };
        let (from, to) = (state(answer.from_state.as_ref())?, state(answer.to_state.as_ref())?);
        Ok(format!(r#"{{"from":{from},"to":{to},"entries":["#).into())
    }

    const CLOSING: &'static [u8] = b"]}";
}

/// Compare two moments
///
/// The configs that were added, changed or removed in between. `namespace=*` compares all
/// namespaces.
#[utoipa::path(
    get,
    path = "/diff",
    operation_id = "diff",
    tag = "configs",
    params(DiffParams, PageParams, FreshnessParams, FreshnessHeaders, CacheHeaders),
    responses(
        (status = 200, description = "What differs", body = DiffView<'static>, headers(
            ("ETag" = String, description = "The states of the log that were compared"),
            ("ConfigApi-Token" = String, description = "The state that was compared to"),
            ("Link" = String, description = "With `limit`: where the next page is"),
        )),
        (status = 304, description = "The answer is the one that `If-None-Match` names"),
        (status = 409, description = "A token belongs to a log that is gone: `LOG_CHANGED`"),
        (status = 412, description = "`If-Match` is an entity tag, and not `*`: `VERSION_CONFLICT`"),
    ),
)]
pub(crate) async fn diff(
    State(app): State<App>,
    target: Target,
    Params(params): Params<DiffParams>,
    Params(page): Params<PageParams>,
    uri: Uri,
    asked: Asked,
) -> Answer {
    if params.from.is_none() {
        return Err(ApiError::invalid("from", "is missing").into());
    }
    let query = DiffRequest {
        from: point(params.from.as_deref(), "from")?,
        to: point(params.to.as_deref(), "to")?,
        namespace: target.one_namespace(),
        all_namespaces: target.all_namespaces,
        prefix: params.prefix,
        page_size: page.size(),
        ..DiffRequest::default()
    };
    let write = |answer: &DiffResponse, out: &mut Writer| {
        answer.entries.iter().try_for_each(|entry| out.item(&DiffEntryView::of(entry)))
    };
    paging::answer(app, asked, &uri, &page, query, write).await
}
