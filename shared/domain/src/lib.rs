//! What a config is, and what may happen to it: keys, values, commands, events and the aggregate.
//! Pure: no I/O, no clock, no ids, no serde, no runtime. Everything else in the house leans on this.

mod aggregate;
mod command;
mod event;
mod invalid;
mod key;
mod measure;
mod provenance;
mod rule;
mod value;

pub use aggregate::{ConfigValue, State, decide, evolve};
pub use command::{Action, Command, Past, RestoreSource};
pub use event::ConfigEvent;
pub use invalid::Invalid;
pub use key::{ConfigKey, MAX_NAME_BYTES, MAX_NAMESPACE_BYTES, NamePrefix, Namespace};
pub use measure::{Point, Position, Timestamp, Version};
pub use provenance::{
    Actor, MAX_ACTOR_BYTES, MAX_REASON_BYTES, MAX_REQUEST_ID_BYTES, Provenance, ReasonText,
    RequestId, TraceParent,
};
pub use rule::{BrokenRule, RestoreRefusal};
pub use value::{Content, ContentType, MAX_CONTENT_TYPE_BYTES, MAX_VALUE_BYTES, Value};
