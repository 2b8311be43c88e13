//! The events of one config, shared by all states that know it. A history only grows, and a state
//! sees of it what lies within the state's own position: that is what keeps states immutable
//! although nothing is copied when a config changes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use configapi_domain::Position;

use super::node::Node;

/// All events of one config, found from the newest.
#[derive(Debug)]
pub(crate) struct History {
    newest: ArcSwap<Node>,
}

impl History {
    /// Begins with the first event of a config.
    pub fn new(first: Arc<Node>) -> Self {
        Self { newest: ArcSwap::new(first) }
    }

    /// Goes on with the event after the newest one.
    pub fn push(&self, next: Arc<Node>) {
        self.newest.store(next);
    }

    /// The newest event of all.
    pub fn newest(&self) -> Arc<Node> {
        self.newest.load_full()
    }

    /// The newest event within a position; none if the config came later.
    pub fn within(&self, position: Position) -> Option<Arc<Node>> {
        let newest = self.newest.load_full();
        if newest.position() <= position {
            return Some(newest);
        }
        newest.at_position(position).map(Arc::clone)
    }
}
