//! One change, many watchers: sets are due at fixed times, and every watcher on the prefix notes how
//! long after that it has each of them. All on one thread, which has one clock.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout_at},
};

use super::{
    GRACE, Part, Spec,
    pacer::{Pacer, Tickets},
    recording::Recording,
    window::{Start, Window},
};
use crate::{
    keys::Values,
    workload::{NumberedSets, Watcher, numbered_sets, watchers},
};

const DEFAULT_RATE_PER_SECOND: f64 = 100.0;
/// How often the end looks whether all has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What all tasks share.
#[derive(Debug)]
struct Board {
    recording: Arc<Mutex<Recording>>,
    window: Window,
    delivered: AtomicU64,
}

/// Runs the watchers and the sets that they watch.
pub(super) async fn run(
    spec: &Spec,
    part: Part,
    start: &Start,
    recording: &Arc<Mutex<Recording>>,
) -> anyhow::Result<()> {
    let prepared = async { anyhow::Ok((watchers(spec).await?, numbered_sets(spec).await?)) };
    let ((watchers, sets), window) = start.together(spec, prepared.await)?;
    let watchers_count = u64::try_from(watchers.len()).unwrap_or(u64::MAX);
    let recording = Arc::clone(recording);
    let board = Arc::new(Board { recording, window, delivered: AtomicU64::new(0) });
    let mut watching = JoinSet::new();
    for watcher in watchers {
        watching.spawn(watch(watcher, Arc::clone(&board)));
    }
    let rate = spec.rate_per_second.unwrap_or(DEFAULT_RATE_PER_SECOND);
    let (pacer, tickets) = Pacer::start(window, rate, part);
    let limit = window.limit(GRACE);
    let sets = timeout_at(limit, set(sets, tickets, &board)).await.unwrap_or(0);
    let expected = sets.saturating_mul(watchers_count);
    let all_delivered = async {
        while board.delivered.load(Ordering::Relaxed) < expected {
            sleep(LOOK_EVERY).await;
        }
    };
    // Whether or not the limit came first, the number of deliveries tells.
    let _ = timeout_at(limit, all_delivered).await;
    watching.shutdown().await;
    let mut recording = board.recording.lock().unwrap_or_else(PoisonError::into_inner);
    recording.unfinished += expected.saturating_sub(board.delivered.load(Ordering::Relaxed));
    recording.unsent += pacer.unsent();
    if sets == 0 {
        recording.unfinished += 1;
    }
    Ok(())
}

/// Sets a config whenever it is due; returns how many sets count.
async fn set(mut sets: NumberedSets, tickets: Tickets, board: &Board) -> u64 {
    let mut counting = 0;
    while let Some(due) = tickets.next().await {
        let offset = due.saturating_duration_since(board.window.begins);
        let result = sets.set(u64::try_from(offset.as_nanos()).unwrap_or(u64::MAX)).await;
        if board.window.holds(due) {
            match result {
                Ok(()) => counting += 1,
                Err(error) => {
                    board.recording.lock().unwrap_or_else(PoisonError::into_inner).error(&error);
                }
            }
        }
    }
    counting
}

async fn watch(mut watcher: Watcher, board: Arc<Board>) {
    loop {
        let result = watcher.next(|value| arrived(value, &board)).await;
        if let Err(error) = result {
            board.recording.lock().unwrap_or_else(PoisonError::into_inner).error(&error);
            return;
        }
    }
}

/// A value says when it was due to be set.
fn arrived(value: &str, board: &Board) {
    let now = Instant::now();
    let Some(offset) = Values::number_of(value) else { return };
    let due = board.window.begins + Duration::from_nanos(offset);
    let mut recording = board.recording.lock().unwrap_or_else(PoisonError::into_inner);
    recording.with_warm_up += 1;
    if board.window.holds(due) {
        board.delivered.fetch_add(1, Ordering::Relaxed);
        recording.success(1, now.saturating_duration_since(due));
    }
}
