//! How many watches may be open at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use configapi_proto::{ApiError, Reason};

use crate::core::Core;

/// Held as long as a watch is open.
#[derive(Debug)]
pub(super) struct Seat {
    core: Arc<Core>,
}

impl Seat {
    /// A seat, if one is free.
    pub fn take(core: &Arc<Core>) -> Result<Self, ApiError> {
        let seat = Self { core: Arc::clone(core) };
        core.metrics.watchers.inc();
        if core.watchers.fetch_add(1, Ordering::Relaxed) >= core.limits.watchers {
            let message = "as many watches as allowed are open on this server; try another one";
            return Err(ApiError::new(Reason::LimitExceeded, message));
        }
        Ok(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.core.watchers.fetch_sub(1, Ordering::Relaxed);
        self.core.metrics.watchers.dec();
    }
}
