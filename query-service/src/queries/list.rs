//! List: the configs that match, now or at a moment of the past.

use std::sync::Arc;

use configapi_domain::{ConfigKey, Position};
use configapi_proto::{ApiError, v1};
use tokio::time::Instant;

use super::page::{Fingerprint, Paging, Room, foreign};
use super::{Moment, Selection};
use crate::core::Core;
use crate::freshness::Wish;
use crate::limits::Limits;
use crate::projection::Place;
use crate::view::View;
use crate::wire::{self, Answer, Encoded, Items};

impl Core {
    /// Answers a List.
    pub async fn list(
        &self,
        request: v1::ListRequest,
        deadline: Option<Instant>,
    ) -> Result<Encoded<v1::ListResponse>, ApiError> {
        let selection =
            Selection::prefix(&request.namespace, request.all_namespaces, &request.prefix)?;
        let moment = Moment::parse("at", request.at.as_ref())?;
        let fingerprint = Fingerprint::new("list")
            .selection(&request.namespace, request.all_namespaces, &request.prefix)
            .message(request.at.as_ref())
            .number(u64::from(request.keys_only));
        let paging = Paging::parse(fingerprint, request.page_size, &request.page_token)?;
        let wish = Wish::parse(request.consistency.as_ref())?;
        let (view, position) = self.view_of_page(&paging, wish, moment, deadline).await?;
        let page = page(&view, position, &selection, &paging, request.keys_only, &self.limits)?;
        Ok(Answer::of(page.configs)
            .text(2, &page.next)
            .message(3, &view.read_state(position))
            .finish())
    }

    /// The view that a page is read from, and the position that it is about.
    pub(super) async fn view_of_page(
        &self,
        paging: &Paging,
        wish: Wish,
        moment: Moment,
        deadline: Option<Instant>,
    ) -> Result<(Arc<View>, Position), ApiError> {
        if let Some(token) = &paging.token {
            let view = self.freshness.view(&[Wish::Token(token.at)], deadline).await?;
            // A token that somebody made up may name a position within an Apply.
            let position = Moment::Token(token.at).resolve(&view);
            return Ok((view, position));
        }
        let view = self.freshness.view(&[wish, moment.wish()], deadline).await?;
        let position = moment.resolve(&view);
        Ok((view, position))
    }
}

impl Fingerprint {
    /// With the fields that select configs.
    pub(super) fn selection(self, namespace: &str, all_namespaces: bool, prefix: &str) -> Self {
        self.text(namespace).number(u64::from(all_namespaces)).text(prefix)
    }
}

/// A page of configs.
pub(super) struct Page {
    pub configs: Items,
    pub next: String,
}

/// The configs that match at a position, as many as fit on the page.
pub(super) fn page(
    view: &View,
    position: Position,
    selection: &Selection,
    paging: &Paging,
    keys_only: bool,
    limits: &Limits,
) -> Result<Page, ApiError> {
    let after = paging.last_text()?.map(|stream| last_key(stream, selection)).transpose()?;
    let mut room = Room::new(paging, limits);
    let mut configs = Items::expecting(paging.items);
    let mut last = None;
    let is_newest = position == view.position();
    let matching = view.state.matching(
        selection.namespace(),
        selection.name_prefix(),
        after.as_ref().map(Place::of),
    );
    // One more than there is room for tells that there is another page.
    for step in matching.expecting(paging.items.saturating_add(1)) {
        let node = match step.matching() {
            Some(newest) if !is_newest => newest.at_position(position),
            newest => newest,
        };
        let has_room = match node.filter(|node| node.is_live()) {
            Some(node) if room.take(wire::config_bytes(node, keys_only)) => {
                configs.push(&wire::Config { node, keys_only });
                true
            }
            Some(_) => false,
            None => true,
        };
        if has_room {
            last = Some(step.key());
        }
        if !has_room || !room.look() {
            let last = last.map_or("", ConfigKey::stream);
            let next = paging.next(view, position, Position::GENESIS, last.as_bytes());
            return Ok(Page { configs, next });
        }
    }
    Ok(Page { configs, next: String::new() })
}

/// The key that the page before ended with.
pub(super) fn last_key(stream: &str, selection: &Selection) -> Result<ConfigKey, ApiError> {
    let key = ConfigKey::of_stream(stream.into()).map_err(|_| foreign())?;
    if selection.is_on_the_way(&key) { Ok(key) } else { Err(foreign()) }
}
