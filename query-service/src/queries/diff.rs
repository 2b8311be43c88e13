//! Diff: what differs between two moments. Moments that lie close together are compared by the
//! events between them, others config by config.

use std::collections::BTreeMap;
use std::sync::Arc;

use configapi_domain::{ConfigKey, Position};
use configapi_proto::{ApiError, v1};
use tokio::time::Instant;

use super::list::last_key;
use super::page::{Fingerprint, Paging, Room};
use super::{Moment, Selection};
use crate::core::Core;
use crate::freshness::Wish;
use crate::projection::{Node, Place, Step};
use crate::view::View;
use crate::wire::{self, Answer, Encoded, Items};

/// Moments with at most this many events between them are close together.
const CLOSE_EVENTS: u64 = 10_000;

impl Core {
    /// Answers a Diff.
    pub async fn diff(
        &self,
        request: v1::DiffRequest,
        deadline: Option<Instant>,
    ) -> Result<Encoded<v1::DiffResponse>, ApiError> {
        let selection =
            Selection::prefix(&request.namespace, request.all_namespaces, &request.prefix)?;
        let from = Moment::parse_required("from", request.from.as_ref())?;
        let to = Moment::parse("to", request.to.as_ref())?;
        let fingerprint = Fingerprint::new("diff")
            .selection(&request.namespace, request.all_namespaces, &request.prefix)
            .message(request.from.as_ref())
            .message(request.to.as_ref());
        let paging = Paging::parse(fingerprint, request.page_size, &request.page_token)?;
        let wish = Wish::parse(request.consistency.as_ref())?;

        let (view, span) = if let Some(token) = &paging.token {
            let view = self.freshness.view(&[Wish::Token(token.at)], deadline).await?;
            let later = Moment::Token(token.at).resolve(&view);
            let earlier = Moment::Position(token.other).resolve(&view);
            (view, span_of(later, earlier, &paging)?)
        } else {
            let wishes = [wish, from.wish(), to.wish()];
            let view = self.freshness.view(&wishes, deadline).await?;
            let span = Span { from: from.resolve(&view), to: to.resolve(&view) };
            (view, span)
        };
        let after = last_key_of(&paging, &selection)?;
        let mut page = Page::new(&view, span, Room::new(&paging, &self.limits));
        let is_whole = page.fill(&selection, after.as_ref());
        let next_page_token = if is_whole { String::new() } else { page.next(&paging) };
        Ok(Answer::of(page.entries)
            .text(2, &next_page_token)
            .message(3, &view.read_state(span.from))
            .message(4, &view.read_state(span.to))
            .finish())
    }
}

/// The positions that are compared.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Position,
    to: Position,
}

/// In a page token the later position comes first, because the view must hold it; the first byte of
/// what is remembered tells which one is `to`.
const FORWARD: u8 = b'>';
const BACKWARD: u8 = b'<';

fn span_of(later: Position, earlier: Position, paging: &Paging) -> Result<Span, ApiError> {
    match paging.token.as_ref().and_then(|token| token.last.first()) {
        Some(&FORWARD) => Ok(Span { from: earlier, to: later }),
        Some(&BACKWARD) => Ok(Span { from: later, to: earlier }),
        _ => Err(super::page::foreign()),
    }
}

fn last_key_of(paging: &Paging, selection: &Selection) -> Result<Option<ConfigKey>, ApiError> {
    let Some(text) = paging.last_text()? else { return Ok(None) };
    last_key(text.get(1..).unwrap_or_default(), selection).map(Some)
}

/// A page of differences.
struct Page<'a> {
    view: &'a View,
    span: Span,
    room: Room,
    entries: Items,
    last: Option<ConfigKey>,
}

impl<'a> Page<'a> {
    fn new(view: &'a View, span: Span, room: Room) -> Self {
        Self { view, span, room, entries: Items::default(), last: None }
    }

    /// Compares configs until the page is full or there are no more. Answers whether there are no
    /// more.
    fn fill(&mut self, selection: &Selection, after: Option<&ConfigKey>) -> bool {
        self.last = after.cloned();
        let state = &self.view.state;
        let (earlier, later) = (self.span.from.min(self.span.to), self.span.from.max(self.span.to));
        if later.0 - earlier.0 > CLOSE_EVENTS {
            return state
                .matching(selection.namespace(), selection.name_prefix(), after.map(Place::of))
                .all(|step| match step {
                    Step::Match(newest) => self.compare(newest),
                    Step::Past(key) => self.looked_at(key),
                });
        }
        let between = usize::try_from(later.0 - earlier.0).unwrap_or(usize::MAX);
        let touched: BTreeMap<&ConfigKey, &Arc<Node>> = state
            .events_after(earlier)
            .take(between)
            .filter(|node| selection.matches(node.key()))
            .filter(|node| after.is_none_or(|after| node.key() > after))
            .map(|node| (node.key(), node))
            .collect();
        touched.into_values().all(|newest| self.compare(newest))
    }

    /// Adds the difference of one config, if there is one and it fits. Answers whether there may
    /// be more.
    fn compare(&mut self, newest: &Arc<Node>) -> bool {
        let alive = |at| newest.at_position(at).map(|node| &**node).filter(|node| node.is_live());
        let (from, to) = (alive(self.span.from), alive(self.span.to));
        let kind = match (from, to) {
            (None, None) => None,
            (None, Some(_)) => Some(v1::DiffKind::Added),
            (Some(_), None) => Some(v1::DiffKind::Removed),
            (Some(from), Some(to)) => {
                (from.content() != to.content()).then_some(v1::DiffKind::Changed)
            }
        };
        if let Some(kind) = kind {
            let bytes =
                [from, to].into_iter().flatten().map(|node| wire::config_bytes(node, false));
            if !self.room.take(bytes.sum::<usize>() + newest.key().stream().len()) {
                return false;
            }
            self.entries.push(&wire::DiffEntry { newest, kind, from, to });
        }
        self.looked_at(newest.key())
    }

    /// Answers whether there may be more looking.
    fn looked_at(&mut self, key: &ConfigKey) -> bool {
        self.last = Some(key.clone());
        self.room.look()
    }

    fn next(&self, paging: &Paging) -> String {
        let Span { from, to } = self.span;
        let (direction, later, earlier) =
            if to >= from { (FORWARD, to, from) } else { (BACKWARD, from, to) };
        let mut last = vec![direction];
        last.extend_from_slice(self.last.as_ref().map_or("", |key| key.stream()).as_bytes());
        paging.next(self.view, later, earlier, &last)
    }
}
