//! Servers and clients for the tests. A test owns its server; everything waits for conditions.

mod caller;
mod probe;
mod server;

pub use caller::{Caller, message};
pub use probe::{FRAMED, GET, LARGE_BYTES, MAX_MESSAGE_BYTES, Probe, WATCH};
pub use server::TestServer;

use std::{future::Future, time::Duration};

/// A condition that has not come true after so long never will.
const PATIENCE: Duration = Duration::from_secs(20);

/// The outcome of something that must come to an end.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("this should have happened long ago")
}

/// Waits until it is so.
pub async fn until(mut so: impl FnMut() -> bool) {
    soon(async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
