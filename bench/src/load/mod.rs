//! The load itself: connections × requests in flight, spread over a few threads, through a warm-up
//! and a window that is measured. Closed loop: each slot asks again as soon as it is answered. Open
//! loop: requests are due at fixed times, whether or not the server keeps up.

mod fan_out;
mod outcome;
mod pacer;
mod recording;
mod slots;
mod window;

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio::runtime::{Builder, Runtime};

pub use self::outcome::{Latency, Outcome};
use self::{recording::Recording, window::Start};
use crate::workload::{Target, Workload};

/// How long after the window an answer may still come; later ones count as unfinished.
const GRACE: Duration = Duration::from_secs(3);

/// What load to make.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What to ask for.
    pub workload: Workload,
    /// Whom to ask.
    pub target: Target,
    /// How many connections.
    pub connections: usize,
    /// How many requests are in flight on each of them.
    pub in_flight: usize,
    /// On how many threads.
    pub threads: usize,
    /// How many requests per second are due, which makes it an open loop. `None` makes it a closed
    /// one.
    pub rate_per_second: Option<f64>,
    /// How long to go on before measuring.
    pub warm_up: Duration,
    /// How long to measure.
    pub window: Duration,
    /// How many configs there are.
    pub keys: u64,
    /// How large their values are.
    pub value_bytes: usize,
    /// How many watchers there are, for the fan-out.
    pub watchers: usize,
    /// Which of several rounds it is: each meets other configs, in another order.
    pub round: u64,
}

impl Spec {
    /// The load of an ordinary run; the fields that differ are set by the caller.
    pub fn new(workload: Workload, target: Target) -> Self {
        Self {
            workload,
            target,
            connections: 8,
            in_flight: 32,
            threads: default_threads(),
            rate_per_second: None,
            warm_up: Duration::from_millis(500),
            window: Duration::from_secs(2),
            keys: 100_000,
            value_bytes: 128,
            watchers: 1_000,
            round: 0,
        }
    }
}

/// One thread for every two cores: the server under load needs the others.
pub fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Makes the load and says what came of it. Blocks until it is over.
pub fn run(spec: &Spec) -> anyhow::Result<Outcome> {
    let most = if spec.workload == Workload::FanOut { 1 } else { spec.connections.max(1) };
    let threads = spec.threads.clamp(1, most);
    let start = Start::new(threads);
    let recordings = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|index| {
                let start = &start;
                scope.spawn(move || run_thread(spec, Part { index, of: threads }, start))
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().map_err(|_panic| anyhow!("a load thread panicked"))?)
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut total = Recording::new()?;
    for recording in recordings {
        total.add(recording)?;
    }
    Ok(Outcome::of(spec, &total))
}

/// Which of the threads it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub index: usize,
    pub of: usize,
}

impl Part {
    /// The numbers below `count` that are this thread's.
    pub fn share(self, count: usize) -> impl Iterator<Item = usize> {
        (self.index..count).step_by(self.of)
    }
}

fn run_thread(spec: &Spec, part: Part, start: &Start) -> anyhow::Result<Recording> {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            start.give_up();
            return Err(error);
        }
    };
    let recording = Arc::new(Mutex::new(Recording::new()?));
    runtime.block_on(async {
        if spec.workload == Workload::FanOut {
            fan_out::run(spec, part, start, &recording).await
        } else {
            slots::run(spec, part, start, &recording).await
        }
    })?;
    // Ends what is still in flight, so that nobody else holds the recording.
    drop(runtime);
    let recording = Arc::into_inner(recording).context("a slot did not end")?;
    recording.into_inner().map_err(|_poisoned| anyhow!("a slot panicked"))
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("no runtime for a load thread")
}
