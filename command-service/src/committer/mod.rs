//! The committer: commands queue here, are decided in order on fresh state, and become durable in
//! groups, one commit a group. It answers only for what is durable.

mod aggregates;
mod ahead;
mod attempt;
mod batch;
mod establish;
mod gathering;
mod late;
mod limits;
mod loading;
mod looking_up;
mod metrics;
mod plan;
mod queue;
mod repeats;
mod resolve;
mod submission;
mod worker;

pub use limits::Limits;
pub use metrics::CommitterMetrics;
pub use queue::CommitQueue;
pub use submission::{EventKind, Receipt, Refusal, Submission, Wish, WishedAction};
pub use worker::{Committer, StoreHealth, Worker};
