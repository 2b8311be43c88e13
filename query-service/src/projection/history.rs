//! The events of one config, shared by all states that know it. A history only grows, and a state
//! sees of it what lies within the state's own position: that is what keeps states immutable
//! although nothing is copied when a config changes.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use configapi_domain::{ConfigKey, Position};

use super::node::Node;

/// All events of one config, found from the newest.
#[derive(Debug)]
pub(crate) struct History {
    key: ConfigKey,
    newest: ArcSwap<Node>,
}

impl History {
    /// All events up to this one, which is of the config with this key.
    pub fn of(key: ConfigKey, newest: Arc<Node>) -> Arc<Self> {
        Arc::new(Self { key, newest: ArcSwap::new(newest) })
    }

    /// Of which config.
    pub fn key(&self) -> &ConfigKey {
        &self.key
    }

    /// Goes on with the event after the newest one.
    pub fn push(&self, next: Arc<Node>) {
        self.newest.store(next);
    }

    /// The newest event of all.
    pub fn newest(&self) -> Arc<Node> {
        self.newest.load_full()
    }

    /// The newest event of all, only to look at it for a moment.
    pub fn glance(&self) -> Guard<Arc<Node>> {
        self.newest.load()
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
