//! Everything that ever happened to a config.

use axum::extract::State;
use configapi_proto::v1::{HistoryOrder, HistoryRequest, HistoryResponse, ReadState};
use http::Uri;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::params::{CacheHeaders, FreshnessHeaders, FreshnessParams, NamePath};
use crate::answers::ChangeView;
use crate::app::{Answer, App};
use crate::asked::{Asked, Params};
use crate::paging::{self, PageParams, Paged, Writer};
use crate::query::Parameters;
use crate::target::Target;

/// Which end of the history comes first.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryParams {
    /// `asc`: oldest first, in the order in which things happened. `desc`: newest first.
    #[serde(default)]
    #[param(inline)]
    order: Order,
}

impl Parameters for HistoryParams {
    const KNOWN: Option<&'static [&'static str]> =
        Some(&["order", "limit", "cursor", "consistency", "namespace"]);
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[default]
    Asc,
    Desc,
}

impl Paged for HistoryRequest {
    fn turn_to(&mut self, page_token: String) {
        self.page_token = page_token;
    }

    fn next_page(answer: &HistoryResponse) -> &str {
        &answer.next_page_token
    }

    fn state(answer: &HistoryResponse) -> Option<&ReadState> {
        answer.state.as_ref()
    }
}

/// Read the history of a config
///
/// All changes, oldest first; an empty array if there never was such a config. A deleted config has
/// its history still.
#[utoipa::path(
    get,
    path = "/config/{name}/history",
    operation_id = "read_history",
    tag = "configs",
    params(NamePath, HistoryParams, PageParams, FreshnessParams, FreshnessHeaders, CacheHeaders),
    responses(
        (status = 200, description = "The changes", body = Vec<ChangeView<'static>>, headers(
            ("ETag" = String, description = "The state of the log that was read"),
            ("ConfigApi-Token" = String, description = "The same as a token"),
            ("Link" = String, description = "With `limit`: where the next page is"),
        )),
        (status = 304, description = "The history is the one that `If-None-Match` names"),
        (status = 409, description = "The token belongs to a log that is gone: `LOG_CHANGED`"),
        (status = 412, description = "`If-Match` is an entity tag, and not `*`: `VERSION_CONFLICT`"),
    ),
)]
pub(crate) async fn history(
    State(app): State<App>,
    target: Target,
    Params(params): Params<HistoryParams>,
    Params(page): Params<PageParams>,
    uri: Uri,
    asked: Asked,
) -> Answer {
    let order = match params.order {
        Order::Asc => HistoryOrder::OldestFirst,
        Order::Desc => HistoryOrder::NewestFirst,
    };
    let query = HistoryRequest {
        namespace: target.namespace,
        name: target.name,
        order: order.into(),
        page_size: page.size(),
        ..HistoryRequest::default()
    };
    let write = |answer: &HistoryResponse, out: &mut Writer| {
        answer.events.iter().try_for_each(|event| out.item(&ChangeView::of(event)?))
    };
    paging::answer(app, asked, &uri, &page, query, write).await
}
