//! Signs of life in the database's own log while nobody writes. A standby cannot tell a primary at rest
//! from one that it does not hear; by each transaction that it replays it knows until when it has all.

use sqlx::postgres::PgArguments;
use tokio::task::JoinHandle;

use crate::limits::{BEAT_EVERY, STANDBY_SOUGHT_EVERY};
use crate::pool::Pool;

/// A transaction that changes nothing but has a number, whose end is therefore recorded; if anybody
/// follows.
const BEAT: &str = "SELECT txid_current() FROM pg_stat_replication LIMIT 1";

/// Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Beats(JoinHandle<()>);

impl Beats {
    /// Begins them, on the server that takes the writes.
    pub(crate) fn begin(pool: Pool) -> Self {
        Self(tokio::spawn(beat(pool)))
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn beat(pool: Pool) {
    loop {
        let pause = match pool.fetch(BEAT, PgArguments::default()).await {
            Ok(followers) if !followers.is_empty() => BEAT_EVERY,
            Ok(_) => STANDBY_SOUGHT_EVERY,
            Err(error) => {
                tracing::debug!(%error, "standbys were not told that all is quiet");
                STANDBY_SOUGHT_EVERY
            }
        };
        tokio::time::sleep(pause).await;
    }
}
