//! `AtTime`: one config, or all with a prefix, as they were at a moment of the past.

use configapi_proto::v1::at_time_request;
use configapi_proto::{ApiError, v1};
use tokio::time::Instant;

use super::page::{Fingerprint, Paging};
use super::{Moment, Selection, get, list};
use crate::core::Core;
use crate::freshness::Wish;
use crate::wire::{self, Answer, Encoded, Items};

impl Core {
    /// Answers an `AtTime`.
    pub async fn at_time(
        &self,
        request: v1::AtTimeRequest,
        deadline: Option<Instant>,
    ) -> Result<Encoded<v1::AtTimeResponse>, ApiError> {
        let v1::AtTimeRequest { namespace, all_namespaces, .. } = &request;
        let moment = Moment::parse_required("at", request.at.as_ref())?;
        let (selection, text) = match &request.selection {
            Some(at_time_request::Selection::Name(name)) => {
                (Selection::one(namespace, *all_namespaces, name)?, name.as_str())
            }
            Some(at_time_request::Selection::Prefix(prefix)) => {
                (Selection::prefix(namespace, *all_namespaces, prefix)?, prefix.as_str())
            }
            None => (Selection::prefix(namespace, *all_namespaces, "")?, ""),
        };
        let fingerprint = Fingerprint::new("at_time")
            .selection(namespace, *all_namespaces, text)
            .message(request.at.as_ref());
        let paging = Paging::parse(fingerprint, request.page_size, &request.page_token)?;
        let wish = Wish::parse(request.consistency.as_ref())?;
        let (view, position) = self.view_of_page(&paging, wish, moment, deadline).await?;
        let state = view.read_state(position);
        if let Some(key) = selection.key() {
            let node = get::find(&view, key.namespace(), key.name(), position)?;
            let mut configs = Items::default();
            configs.push(&wire::Config { node, keys_only: false });
            return Ok(Answer::of(configs).message(3, &state).finish());
        }
        let page = list::page(&view, position, &selection, &paging, false, &self.limits)?;
        Ok(Answer::of(page.configs).text(2, &page.next).message(3, &state).finish())
    }
}
