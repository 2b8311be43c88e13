//! Where audit records go. A sink says that a batch is delivered only when it is durable there.

mod file;
mod pipe;
mod post;
mod standard_output;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use self::file::FileSink;
pub use self::pipe::PipeSink;
pub use self::post::{NotAPostUrl, PostSink, PostUrl};
pub use self::standard_output::StandardOutput;
use crate::failure::Failure;

/// Whole lines, to be delivered together.
#[derive(Debug, Default)]
pub struct Lines {
    pub bytes: Vec<u8>,
    pub count: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is durable at its destination.
    Done,
    /// The worker was asked to stop before anybody took it.
    GivenUp,
}

/// A destination of records. An error ends the worker: what can be waited out is waited out within.
#[async_trait]
pub trait Sink: Send {
    /// Delivers a batch. After `stop`, begins no further attempt.
    async fn deliver(
        &mut self,
        lines: &Lines,
        stop: &CancellationToken,
    ) -> Result<Delivery, Failure>;
}
