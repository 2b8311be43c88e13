//! The log of events, seen from inside the house: the port that stores implement, the stored form
//! of events, the hash chain, the rules by which a reader follows the log, and a log in memory.
//! It never talks to a database; adapters do, and depend on this crate.

mod asking;
mod batch;
mod chain;
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod lineage;
mod memory;
mod newest;
mod page;
mod port;
mod recorded;
mod requested;
mod stored;
mod tail;
mod texts;
mod verdict;
mod weight;

pub use asking::{Asking, in_time};
pub use batch::{check_alone, check_batch, check_row};
pub use chain::{ChainBreak, Hash, hash_of, seal, verify_link};
pub use codec::{DecodeError, Draft, SCHEMA_VERSION, decode, decode_sharing, encode};
pub use error::{AppendError, LogError};
pub use lineage::{Beginning, Epoch, EpochStart, Identity, Lineage, LogId};
pub use memory::MemoryLog;
pub use newest::Newest;
pub use page::{MAX_EVENTS_PER_COMMAND, Page, PageBuilder, PageLimit, Reach};
pub use port::{EventLog, Head, Standing, Turn};
pub use recorded::{CommandPart, Fingerprint, Recorded, RequestKey};
pub use requested::Requested;
pub use stored::{
    GENESIS_EVENT_TYPE, GENESIS_STREAM, StoredEvent, event_type_named, genesis, log_id_of,
};
pub use tail::{Tail, TailError};
pub use texts::Texts;
pub use verdict::Verdict;
pub use weight::encoded_bytes;

pub use configapi_domain as domain;
