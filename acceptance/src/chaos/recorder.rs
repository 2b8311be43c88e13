//! Where all clients write down what they saw, by one clock.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::checkers::history::{Action, History, Line, Place, Write, WriteOutcome};

/// How many places of the past are remembered, for reads about them.
const PLACES: usize = 4_096;
/// How many versions with a value are remembered of each config.
const RESTORABLE: usize = 8;

/// What clients know of a config. It may be out of date; that is for the servers to find out.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its version.
    pub version: u64,
    /// Whether it has a value.
    pub is_live: bool,
    /// Versions that had one.
    pub restorable: Vec<u64>,
}

/// The recorder.
#[derive(Debug)]
pub struct Recorder {
    begun: Instant,
    begun_at: SystemTime,
    history: Mutex<History>,
    known: Mutex<HashMap<String, Known>>,
    places: Mutex<Vec<Place>>,
    acknowledged: AtomicU64,
    answered: AtomicU64,
    delivered: AtomicU64,
    failed: Mutex<BTreeMap<String, u64>>,
}

/// How much was done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Commands that were acknowledged.
    pub acknowledged: u64,
    /// Reads that were answered.
    pub answered: u64,
    /// Events that were delivered to watches.
    pub delivered: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            begun_at: SystemTime::now(),
            history: Mutex::default(),
            known: Mutex::default(),
            places: Mutex::default(),
            acknowledged: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            failed: Mutex::default(),
        }
    }
}

impl Recorder {
    /// Microseconds since the run began.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The wall clock's time of the run, up to now, and a little more on both sides.
    pub fn wall_clock_us(&self, more: Duration) -> RangeInclusive<i64> {
        let us = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        };
        us(self.begun_at - more)..=us(SystemTime::now() + more)
    }

    /// Writes something down.
    pub fn note(&self, line: Line) {
        match &line {
            Line::Write(write) => self.learn(write),
            Line::Read(read) => {
                self.answered.fetch_add(u64::from(read.answer.is_some()), Ordering::Relaxed);
            }
            Line::Watch(frame) => {
                if let crate::checkers::history::Frame::Events { events, .. } = &frame.frame {
                    self.delivered.fetch_add(events.len() as u64, Ordering::Relaxed);
                }
            }
        }
        locked(&self.history).push(line);
    }

    fn learn(&self, write: &Write) {
        let WriteOutcome::Ok(receipts) = &write.outcome else { return };
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        let mut known = locked(&self.known);
        for (command, receipt) in write.commands.iter().zip(receipts) {
            let config = known.entry(command.key.clone()).or_default();
            if receipt.version <= config.version {
                continue;
            }
            config.version = receipt.version;
            config.is_live = command.action != Action::Delete;
            if matches!(command.action, Action::Set(_)) {
                config.restorable.truncate(RESTORABLE - 1);
                config.restorable.insert(0, receipt.version);
            }
        }
        if let Some(last) = receipts.last() {
            let mut places = locked(&self.places);
            if places.len() == PLACES {
                places.drain(..PLACES / 2);
            }
            places.push(last.place);
        }
    }

    /// What is known of a config.
    pub fn known(&self, key: &str) -> Known {
        locked(&self.known).get(key).cloned().unwrap_or_default()
    }

    /// Corrects what was believed of a config that turned out to be otherwise.
    pub fn correct(&self, key: &str, version: Option<u64>, is_live: Option<bool>) {
        let mut known = locked(&self.known);
        let config = known.entry(key.to_owned()).or_default();
        config.version = version.unwrap_or(config.version);
        config.is_live = is_live.unwrap_or(config.is_live);
    }

    /// A place that was acknowledged, so many writes ago; none if there are not so many.
    pub fn place_before(&self, writes: usize) -> Option<Place> {
        let places = locked(&self.places);
        places.len().checked_sub(1 + writes).and_then(|at| places.get(at).copied())
    }

    /// Forgets the places beyond one, which are gone with a lost tail.
    pub fn forget_beyond(&self, place: Place) {
        locked(&self.places).retain(|it| it.epoch == place.epoch || it.position <= place.position);
    }

    /// Counts an attempt at a command that was not acknowledged.
    pub fn note_failure(&self, reason: &str) {
        *locked(&self.failed).entry(reason.to_owned()).or_default() += 1;
    }

    /// How many attempts failed for a reason.
    pub fn failed_with(&self, reason: &str) -> u64 {
        locked(&self.failed).get(reason).copied().unwrap_or_default()
    }

    /// How much was done so far.
    pub fn load(&self) -> Load {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Load {
            acknowledged: read(&self.acknowledged),
            answered: read(&self.answered),
            delivered: read(&self.delivered),
        }
    }

    /// All that was written down.
    pub fn take_history(&self) -> History {
        std::mem::take(&mut *locked(&self.history))
    }
}
