//! How waiters hear that the log has grown: from our own appends at once, and from those of other
//! processes by looking at the file's change counter often. One task looks, for all who wait, and
//! only while somebody waits. All of it is a hint.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use configapi_event_log::domain::Position;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::watch;

use crate::read::{data_version, newest_position};

/// How soon to look again, while the log was quiet for less than so long.
const PACES: [(Duration, Duration); 2] = [
    (Duration::from_secs(2), Duration::from_millis(1)),
    (Duration::from_secs(20), Duration::from_millis(5)),
];
/// How soon to look again in a log that has long been quiet, or that cannot be read.
const IDLE_PACE: Duration = Duration::from_millis(10);

/// What is known of the log's end.
#[derive(Debug, Clone)]
pub(crate) struct Growth(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    readers: SqlitePool,
    /// Whether this process is the one that writes.
    writes: bool,
    /// Its receivers are those who wait.
    newest: watch::Sender<Position>,
    is_watched: Mutex<bool>,
}

impl Growth {
    pub(crate) fn new(readers: SqlitePool, writes: bool) -> Self {
        let (newest, _) = watch::channel(Position::GENESIS);
        Self(Arc::new(Shared { readers, writes, newest, is_watched: Mutex::new(false) }))
    }

    /// Says that an append of ours is done. They may be told of in another order than they were
    /// made in.
    pub(crate) fn grew_to(&self, position: Position) {
        self.0.newest.send_if_modified(|known| {
            let is_news = position > *known;
            *known = position.max(*known);
            is_news
        });
    }

    /// Waits until the log is known to be longer, or patience ends.
    pub(crate) async fn beyond(&self, position: Position, patience: Duration) {
        let mut newest = self.0.newest.subscribe();
        if *newest.borrow() > position {
            return;
        }
        self.be_watched();
        // Longer or not: it was a hint, and there is no more to say.
        let _ = tokio::time::timeout(patience, newest.wait_for(|known| *known > position)).await;
    }

    /// Starts the task that looks, unless it runs. A waiter has subscribed before it comes here, so
    /// the task either sees it or has said that it ends.
    fn be_watched(&self) {
        let mut is_watched = self.0.is_watched.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_watched {
            *is_watched = true;
            tokio::spawn(watch(Watching { shared: Arc::clone(&self.0), has_ended: false }));
        }
    }
}

/// Held by the task that looks. However it ends, even with its runtime, another may begin.
struct Watching {
    shared: Arc<Shared>,
    has_ended: bool,
}

impl Watching {
    /// Whether nobody waits any more. If so the task has ended for all others to see, and another
    /// may begin at any moment.
    fn is_over(&mut self) -> bool {
        let mut is_watched = self.shared.is_watched.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.newest.receiver_count() > 0 {
            return false;
        }
        *is_watched = false;
        self.has_ended = true;
        true
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if !self.has_ended {
            *self.shared.is_watched.lock().unwrap_or_else(PoisonError::into_inner) = false;
        }
    }
}

async fn watch(mut watching: Watching) {
    let mut connection = None;
    let mut seen = None;
    let mut grew_at = Instant::now();
    while !watching.is_over() {
        let shared = &watching.shared;
        let pace = match look(&shared.readers, &mut connection, &mut seen).await {
            Ok(None) => shared.pace(grew_at),
            Ok(Some(position)) => {
                let is_news = shared.newest.send_if_modified(|known| {
                    let is_news = *known != position;
                    *known = position;
                    is_news
                });
                if is_news {
                    grew_at = Instant::now();
                }
                shared.pace(grew_at)
            }
            Err(error) => {
                tracing::debug!(%error, "cannot look for new events");
                connection = None;
                IDLE_PACE
            }
        };
        tokio::time::sleep(pace).await;
    }
}

impl Shared {
    /// How soon to look again. What the process itself writes it was told of already.
    fn pace(&self, grew_at: Instant) -> Duration {
        let quiet_for = grew_at.elapsed();
        let mut paces = PACES.iter().filter(|(limit, _)| !self.writes && quiet_for < *limit);
        paces.next().map_or(IDLE_PACE, |(_, pace)| *pace)
    }
}

/// The newest position, if anything was committed since the last look.
async fn look(
    readers: &SqlitePool,
    connection: &mut Option<sqlx::pool::PoolConnection<sqlx::Sqlite>>,
    seen: &mut Option<i64>,
) -> Result<Option<Position>, sqlx::Error> {
    let connection: &mut SqliteConnection = if let Some(connection) = connection {
        connection
    } else {
        *seen = None;
        connection.insert(readers.acquire().await?)
    };
    let version = data_version(connection).await?;
    if *seen == Some(version) {
        return Ok(None);
    }
    let position = newest_position(connection).await?;
    *seen = Some(version);
    Ok(Some(position))
}
