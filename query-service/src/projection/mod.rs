//! What the log makes of all configs, as one immutable value: a pure fold. Every event is there with
//! its position, and all that grows is shared by the states before and after: a state is what lies
//! within its position. It does no I/O and reads no clock.

mod approach;
mod by_place;
mod check;
mod configs;
mod decoded;
mod digest;
mod events;
mod history;
mod in_order;
mod near;
mod node;
mod packed;
mod place;
mod projector;
mod state;

pub use approach::{Approach, GROUP};
pub use check::Unfoldable;
pub use decoded::Decoded;
pub(crate) use node::Parts;
pub use node::{Change, Node};
pub(crate) use packed::{PackedRequestId, PackedTrace};
pub(crate) use place::{Place, Step};
pub use projector::Projector;
pub(crate) use projector::Restoring;
pub use state::{Anchor, Counts, State};
