//! History: all events of one config.

use std::sync::Arc;

use configapi_domain::{ConfigKey, Position, Version};
use configapi_proto::{ApiError, v1};
use tokio::time::Instant;

use super::Moment;
use super::page::{Fingerprint, Paging, Room};
use super::selection::invalid;
use crate::core::Core;
use crate::freshness::Wish;
use crate::projection::Node;
use crate::wire::{self, Answer, Encoded, Items};

impl Core {
    /// Answers a History.
    pub async fn history(
        &self,
        request: v1::HistoryRequest,
        deadline: Option<Instant>,
    ) -> Result<Encoded<v1::HistoryResponse>, ApiError> {
        let key = ConfigKey::parse(&request.namespace, &request.name).map_err(invalid)?;
        let order = order(request.order)?;
        let fingerprint = Fingerprint::new("history")
            .text(key.stream())
            .number(u64::from(order == Order::NewestFirst));
        let paging = Paging::parse(fingerprint, request.page_size, &request.page_token)?;
        let last = paging.last_number()?;
        let wish = Wish::parse(request.consistency.as_ref())?;
        let (view, position) = self.view_of_page(&paging, wish, Moment::Now, deadline).await?;

        let newest = view.state.newest(key.namespace(), key.name());
        let mut events = Items::expecting(paging.items.min(10));
        let mut next_page_token = String::new();
        if let Some(newest) = newest.and_then(|newest| newest.at_position(position)) {
            let mut room = Room::new(&paging, &self.limits);
            let mut last_version = last;
            for node in nodes(newest, order, last, paging.items) {
                if !room.take(wire::event_bytes(node)) {
                    break;
                }
                events.push(&wire::Event(node));
                last_version = Some(node.version().0);
            }
            if let Some(version) = last_version.filter(|last| order.has_more(*last, newest)) {
                let last = version.to_be_bytes();
                next_page_token = paging.next(&view, position, Position::GENESIS, &last);
            }
        }
        Ok(Answer::of(events)
            .text(2, &next_page_token)
            .message(3, &view.read_state(position))
            .finish())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

impl Order {
    /// Whether there are events beyond a page that ended with this version.
    fn has_more(self, last: u64, newest: &Node) -> bool {
        match self {
            Self::OldestFirst => last < newest.version().0,
            Self::NewestFirst => last > 1,
        }
    }
}

fn order(number: i32) -> Result<Order, ApiError> {
    match v1::HistoryOrder::try_from(number) {
        Ok(v1::HistoryOrder::Unspecified | v1::HistoryOrder::OldestFirst) => Ok(Order::OldestFirst),
        Ok(v1::HistoryOrder::NewestFirst) => Ok(Order::NewestFirst),
        Err(_) => Err(ApiError::invalid("order", "must be one of the orders of the contract")),
    }
}

/// At most so many events up to `newest`, in this order, after the version that the page before
/// ended with.
fn nodes(newest: &Arc<Node>, order: Order, last: Option<u64>, items: usize) -> Vec<&Node> {
    let (items, newest_version) = (items as u64, newest.version().0);
    // The versions up to `upto`, so many of them, newest first.
    let (upto, count) = match order {
        Order::NewestFirst => {
            let upto = last.map_or(newest_version, |last| last.saturating_sub(1));
            (upto, items.min(upto))
        }
        Order::OldestFirst => {
            let before = last.unwrap_or(0).min(newest_version);
            let upto = before.saturating_add(items).min(newest_version);
            (upto, upto - before)
        }
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut nodes = Vec::with_capacity(count);
    let first = newest.at_version(Version(upto)).map(|node| &**node);
    let back = std::iter::successors(first, |node| node.previous());
    // Each leads on to the one before it; all else of them comes near meanwhile.
    nodes.extend(back.take(count).inspect(|node| node.ask_for()));
    for node in &nodes {
        node.ask_for_value();
    }
    if order == Order::OldestFirst {
        nodes.reverse();
    }
    nodes
}
