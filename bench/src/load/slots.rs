//! Slots: each has one request in flight at a time, and notes how long it took.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::timeout_at};

use super::{
    GRACE, Part, Spec,
    pacer::{Pacer, Tickets},
    recording::Recording,
    window::{Start, Window},
};
use crate::{
    wire::CallError,
    workload::{Done, Slot, slots},
};

/// A slot whose requests fail does not turn the load into a test of how fast errors are.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// Runs this thread's slots through the window.
pub(super) async fn run(
    spec: &Spec,
    part: Part,
    start: &Start,
    recording: &Arc<Mutex<Recording>>,
) -> anyhow::Result<()> {
    let prepared = slots(spec, part).await;
    let (slots, window) = start.together(spec, prepared)?;
    let pacer = spec.rate_per_second.map(|rate| Pacer::start(window, rate, part));
    let (pacer, tickets) = pacer.unzip();
    let mut running = JoinSet::new();
    for slot in slots {
        let notes = Notes { recording: Arc::clone(recording), window };
        match tickets.clone() {
            Some(tickets) => running.spawn(open(slot, tickets, notes)),
            None => running.spawn(closed(slot, notes)),
        };
    }
    let all = async { while running.join_next().await.is_some() {} };
    let cut_off = timeout_at(window.limit(GRACE), all).await.is_err();
    if cut_off {
        let unfinished = u64::try_from(running.len()).unwrap_or(u64::MAX);
        recording.lock().unwrap_or_else(PoisonError::into_inner).unfinished += unfinished;
    }
    running.shutdown().await;
    if let Some(tickets) = tickets {
        never_sent(&tickets, window, recording).await;
    }
    if let Some(pacer) = pacer {
        let unsent = pacer.unsent();
        recording.lock().unwrap_or_else(PoisonError::into_inner).unsent += unsent;
    }
    Ok(())
}

/// What was due and never got its turn has waited until now at least.
async fn never_sent(tickets: &Tickets, window: Window, recording: &Mutex<Recording>) {
    while let Some(due) = tickets.next().await {
        if window.holds(due) {
            let mut recording = recording.lock().unwrap_or_else(PoisonError::into_inner);
            recording.unsent += 1;
            recording.latency(due.elapsed());
        }
    }
}

struct Notes {
    recording: Arc<Mutex<Recording>>,
    window: Window,
}

impl Notes {
    /// Notes a request by the moment that decides whether it counts. Success is timed from when it
    /// was due, a refusal from when it was sent: that is the server's doing alone.
    fn take(
        &self,
        counts_at: Instant,
        due: Instant,
        sent: Instant,
        result: &Result<Done, CallError>,
    ) {
        let counts = self.window.holds(counts_at);
        let mut recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(done) => {
                recording.with_warm_up += done.operations;
                if counts {
                    let latency = done.ended.saturating_duration_since(due);
                    recording.success(done.operations, latency);
                }
            }
            Err(error) if counts => {
                recording.failure(error, sent.elapsed());
            }
            Err(_before_it_counts) => {}
        }
    }
}

async fn closed(mut slot: Slot, notes: Notes) {
    let mut began = Instant::now();
    while began < notes.window.until {
        let result = slot.perform().await;
        let now = result.as_ref().map_or_else(|_error| Instant::now(), |done| done.ended);
        notes.take(now, began, began, &result);
        began = now;
        if result.is_err() {
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            began = Instant::now();
        }
    }
}

async fn open(mut slot: Slot, tickets: Tickets, notes: Notes) {
    while let Some(due) = tickets.next().await {
        let sent = Instant::now();
        let result = slot.perform().await;
        notes.take(due, due, sent, &result);
    }
}
