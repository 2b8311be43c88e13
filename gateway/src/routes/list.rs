//! The configs of a namespace: names and values, as they have always been listed.

use axum::extract::State;
use configapi_proto::ApiError;
use configapi_proto::v1::{Config, ListRequest, ListResponse, ReadState};
use http::Uri;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::params::{CacheHeaders, FreshnessHeaders, FreshnessParams, Moment};
use crate::answers::{NameAndValue, RecordView};
use crate::app::{Answer, App};
use crate::asked::{Asked, Params};
use crate::paging::{self, PageParams, Paged, Writer};
use crate::problem::Problem;
use crate::query::Parameters;
use crate::target::Target;

/// Which configs, and how.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only configs whose names begin with this text.
    #[serde(default)]
    #[param(max_length = 256, pattern = "^[A-Za-z0-9_./-]*$")]
    prefix: String,
    /// The moment to look at: a time, a position, or a token. Without it, now.
    #[param(value_type = Option<Moment>, inline)]
    at: Option<String>,
    /// How each config looks: `brief` is name and value, `full` is everything.
    #[serde(default)]
    #[param(inline)]
    view: View,
}

impl Parameters for ListParams {
    const KNOWN: Option<&'static [&'static str]> =
        Some(&["prefix", "at", "view", "limit", "cursor", "consistency", "namespace"]);
}

/// How a config looks in a list.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum View {
    #[default]
    Brief,
    Full,
}

/// An item of a list.
#[derive(ToSchema)]
#[schema(as = ListItem)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written piece by piece")]
pub(crate) enum ListItem<'a> {
    Full(RecordView<'a>),
    Brief(NameAndValue<'a>),
}

impl Paged for ListRequest {
    fn turn_to(&mut self, page_token: String) {
        self.page_token = page_token;
    }

    fn next_page(answer: &ListResponse) -> &str {
        &answer.next_page_token
    }

    fn state(answer: &ListResponse) -> Option<&ReadState> {
        answer.state.as_ref()
    }
}

/// List the configs of a namespace
///
/// An array of names and values, ordered by name. Without `limit` it is complete.
/// `namespace=*` lists all namespaces.
#[utoipa::path(
    get,
    path = "/config",
    operation_id = "list_configs",
    tag = "configs",
    params(ListParams, PageParams, FreshnessParams, FreshnessHeaders, CacheHeaders),
    responses(
        (status = 200, description = "The configs", body = Vec<ListItem<'static>>, headers(
            ("ETag" = String, description = "The state of the log that the list was read at"),
            ("ConfigApi-Token" = String, description = "The same as a token"),
            ("Link" = String, description = "With `limit`: where the next page is"),
        )),
        (status = 304, description = "The list is the one that `If-None-Match` names"),
        (status = 409, description = "The token belongs to a log that is gone: `LOG_CHANGED`"),
        (status = 412, description = "`If-Match` is an entity tag, and not `*`: `VERSION_CONFLICT`"),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    target: Target,
    Params(params): Params<ListParams>,
    Params(page): Params<PageParams>,
    uri: Uri,
    asked: Asked,
) -> Answer {
    let all_namespaces = target.all_namespaces;
    let query = ListRequest {
        namespace: target.one_namespace(),
        all_namespaces,
        prefix: params.prefix,
        at: point(params.at.as_deref(), "at")?,
        page_size: page.size(),
        ..ListRequest::default()
    };
    let view = params.view;
    let write = move |answer: &ListResponse, out: &mut Writer| {
        answer.configs.iter().try_for_each(|config| item(config, view, all_namespaces, out))
    };
    paging::answer(app, asked, &uri, &page, query, write).await
}

fn item(config: &Config, view: View, all: bool, out: &mut Writer) -> Result<(), ApiError> {
    match view {
        View::Full => out.item(&RecordView::of(config)),
        View::Brief => out.item(&NameAndValue {
            namespace: all.then_some(&config.namespace),
            name: &config.name,
            value: &config.value,
        }),
    }
}

/// A moment said in a parameter.
pub(super) fn point(
    text: Option<&str>,
    field: &'static str,
) -> Result<Option<configapi_proto::v1::PointInTime>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match crate::moment::point(text) {
        Some(point) => Ok(Some(point)),
        None => Err(ApiError::invalid(
            field,
            "must be a time such as 2024-01-15T10:30:00Z, a position, or a token such as 1-1042",
        )
        .into()),
    }
}
