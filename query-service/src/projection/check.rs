//! Whether an event follows from the events before it. A log in which one does not was not written
//! by the rules of the aggregate, and is not served.

use std::sync::Arc;

use configapi_domain::Position;

use super::decoded::Decoded;
use super::node::{Change, Node};

/// An event that cannot be the next of its config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event at position {position} does not follow from the history of its config: {problem}"
)]
pub struct Unfoldable {
    /// Where.
    pub position: Position,
    /// What is wrong, without the content.
    pub problem: &'static str,
}

/// Refuses an event that does not follow from `previous`, the newest event of its config.
pub(super) fn follows(previous: Option<&Arc<Node>>, event: &Decoded) -> Result<(), Unfoldable> {
    let refused = |problem| Err(Unfoldable { position: event.node.position(), problem });
    let expected = previous.map_or(1, |node| node.version().0 + 1);
    if event.node.version().0 != expected {
        return refused("its version is not the next one");
    }
    let live = previous.filter(|node| node.is_live());
    match event.node.change() {
        Change::Set if previous.is_some() && live.is_none() => {
            return refused("a deleted config is set");
        }
        Change::Deleted if live.is_none() => return refused("a config without a value is deleted"),
        Change::Deleted if live.is_some_and(|node| node.content() != event.node.content()) => {
            return refused("what is deleted is not what it had");
        }
        Change::Restored(_) if previous.is_none() => {
            return refused("a config that never existed is restored");
        }
        Change::Restored(version) if version.0 == 0 || version.0 >= expected => {
            return refused("a version is restored that does not come before it");
        }
        Change::Restored(version) => {
            let restored = previous.and_then(|node| node.at_version(version));
            match restored.filter(|node| node.is_live()) {
                None => return refused("a version is restored that was a delete"),
                Some(node) if node.content() != event.node.content() => {
                    return refused("what is restored is not what that version had");
                }
                Some(_) => {}
            }
        }
        Change::Set | Change::Deleted => {}
    }
    if event.old_value.as_ref() != live.map(|node| &node.content().value) {
        return refused("the value before it is not what it says");
    }
    Ok(())
}
