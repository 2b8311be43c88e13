//! What travels with a request through the bus.

use std::sync::Arc;
use std::time::Instant;

/// A request and what travels with it.
#[derive(Debug, Clone)]
pub struct Call<R> {
    /// The request.
    pub request: R,
    /// What travels with it.
    pub context: Context,
}

/// Where a request comes from and how long its caller waits.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// The id that the edge gave the call; a command without an id of its own gets it.
    pub call_id: Arc<str>,
    /// The trace that the call belongs to.
    pub traceparent: Option<Arc<str>>,
}
