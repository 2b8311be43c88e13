//! Writes snapshots in the background, when enough has happened since the last one.

use std::sync::Arc;
use std::time::Duration;

use configapi_domain::Position;
use tokio::time::{Instant, sleep};

use super::SnapshotDir;
use crate::board::Board;
use crate::metrics::QueryMetrics;
use crate::view::{Condition, View};

/// When a snapshot is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeeperSettings {
    /// After this many events…
    pub events: u64,
    /// …or after this long, if there was any event.
    pub interval: Duration,
}

/// Between two snapshots lies at least this many times what one takes, however much happens.
const REST_FACTOR: u32 = 10;

/// The one who writes snapshots.
#[derive(Debug)]
pub(crate) struct Keeper {
    dir: SnapshotDir,
    settings: KeeperSettings,
    board: Arc<Board>,
    metrics: QueryMetrics,
    written_at: Instant,
    rest: Duration,
}

impl Keeper {
    pub fn new(
        dir: SnapshotDir,
        settings: KeeperSettings,
        board: Arc<Board>,
        metrics: QueryMetrics,
    ) -> Self {
        let (written_at, rest) = (Instant::now(), Duration::ZERO);
        Self { dir, settings, board, metrics, written_at, rest }
    }

    /// Writes snapshots for ever.
    pub async fn run(mut self) {
        let mut turns = self.board.turns();
        loop {
            let view = self.board.view();
            let is_serving = view.condition == Condition::Serving;
            if self.is_due(&view) {
                self.write(view).await;
            } else {
                // One that only waits must not keep what others have dropped.
                drop(view);
            }
            tokio::select! {
                () = self.much_has_happened(), if is_serving => {}
                _ = turns.changed() => {}
                () = sleep(self.settings.interval) => {}
            }
        }
    }

    /// Waits until there is so much to write that the pause since the last time is long enough.
    async fn much_has_happened(&self) {
        let enough = self.dir.covered().0.saturating_add(self.settings.events);
        sleep(self.rest.saturating_sub(self.written_at.elapsed())).await;
        self.board.reaches(Position(enough)).await;
    }

    fn is_due(&self, view: &View) -> bool {
        if view.condition != Condition::Serving {
            return false;
        }
        let fresh = view.position().0.saturating_sub(self.dir.covered().0);
        let since = self.written_at.elapsed();
        let is_much = fresh >= self.settings.events && since >= self.rest;
        let is_long = fresh > 0 && since >= self.settings.interval.max(self.rest);
        is_much || is_long
    }

    async fn write(&mut self, view: Arc<View>) {
        let began = Instant::now();
        let dir = self.dir.clone();
        let position = view.position();
        let written = tokio::task::spawn_blocking(move || dir.write(&view)).await;
        let took = began.elapsed();
        self.written_at = Instant::now();
        self.rest = took * REST_FACTOR;
        match written {
            Ok(Ok(bytes)) => {
                self.metrics.snapshot_written(bytes, took);
                // Of a state that was dropped meanwhile it is worth nothing.
                self.metrics.covered(self.dir.covered());
                tracing::info!(
                    position = position.0,
                    bytes,
                    seconds = took.as_secs_f64(),
                    "snapshot written"
                );
            }
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("the writer panicked"),
        }
    }

    fn failed(&mut self, why: &str) {
        self.metrics.snapshot_failures.inc();
        self.rest = self.rest.max(self.settings.interval);
        tracing::warn!(reason = %why, "a snapshot could not be written; going on without it");
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn a_state_that_was_dropped_is_not_held_until_another_one_is_served() {
        let directory = tempfile::tempdir().unwrap();
        let dir = SnapshotDir::open(directory.path()).unwrap();
        let metrics = QueryMetrics::default();
        let board = Arc::new(Board::new(metrics.clone()));
        let when = KeeperSettings { events: u64::MAX, interval: Duration::from_hours(1) };
        tokio::spawn(Keeper::new(dir, when, Arc::clone(&board), metrics).run());
        board.set_condition(Condition::Serving);
        yield_now().await;

        // As when the log lost its tail.
        board.set_condition(Condition::NotReady("lost".into()));
        yield_now().await;
        let lost = Arc::downgrade(&board.view());
        let condition = board.view().condition.clone();
        board.publish(View { condition, ..View::initial() });
        yield_now().await;
        assert!(lost.upgrade().is_none(), "all of it is in memory still");
    }
}
