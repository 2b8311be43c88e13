//! What an audit worker tells those who watch over it: how far it is, and what holds it up. No label
//! and no text here ever holds a name or a value of a config.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use configapi_event_log::domain::{Position, Timestamp};
use configapi_runtime::http::admin::Ready;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::metrics::prometheus_client::collector::Collector;
use configapi_runtime::metrics::prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric as _,
};
use configapi_runtime::metrics::prometheus_client::metrics::counter::Counter;
use configapi_runtime::metrics::prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use configapi_runtime::metrics::prometheus_client::registry::Unit;

use crate::operator::store::now;

/// Clones are the same board.
#[derive(Debug, Clone)]
pub struct Board {
    records: Counter,
    position: Gauge<u64, AtomicU64>,
    delivery_failures: Counter,
    read_failures: Counter,
    trail: Arc<Trail>,
}

#[derive(Debug)]
struct Trail {
    /// Whatever was recorded in the log before this time has its audit record, in microseconds. Never
    /// later than what is known: of a log on a standby that is how far it has come.
    complete_until: AtomicI64,
    /// Why it does not grow at the moment.
    obstacle: Mutex<Option<String>>,
}

impl Board {
    /// A board of this process, with its numbers among the metrics. What was written before the
    /// process began is not known to it, so its lag counts from now.
    pub fn register(metrics: &Metrics) -> Self {
        let board = Self {
            records: Counter::default(),
            position: Gauge::default(),
            delivery_failures: Counter::default(),
            read_failures: Counter::default(),
            trail: Arc::new(Trail {
                complete_until: AtomicI64::new(now().0),
                obstacle: Mutex::new(Some("the store is not there yet".to_owned())),
            }),
        };
        metrics.register(|registry| {
            let records = "Audit records that were delivered";
            registry.register("configapi_audit_records", records, board.records.clone());
            let position = "Position of the last event whose audit record was delivered";
            registry.register("configapi_audit_position", position, board.position.clone());
            let failures = "Times that audit records were not taken; each is followed by a repeat";
            let counter = board.delivery_failures.clone();
            registry.register("configapi_audit_delivery_failures", failures, counter);
            let failures = "Times that the log could not be read";
            let counter = board.read_failures.clone();
            registry.register("configapi_audit_read_failures", failures, counter);
            registry.register_collector(Box::new(Lag(Arc::clone(&board.trail))));
        });
        board
    }

    /// What a probe is told.
    pub fn readiness(&self) -> Ready {
        let trail = Arc::clone(&self.trail);
        Arc::new(move || trail.obstacle().clone().map_or(Ok(()), Err))
    }

    /// How many records were delivered.
    pub fn records(&self) -> u64 {
        self.records.get()
    }

    pub fn delivered(&self, records: u64) {
        self.records.inc_by(records);
        self.goes_on();
    }

    /// The trail stands after this event.
    pub fn stands_at(&self, position: Position) {
        self.position.set(position.0);
    }

    /// All that was recorded before this time has its audit record.
    pub fn complete_until(&self, time: Timestamp) {
        self.trail.complete_until.store(time.0, Ordering::Relaxed);
    }

    pub fn goes_on(&self) {
        *self.trail.obstacle() = None;
    }

    /// Those who shall have the records do not take them, for this reason.
    pub fn not_taken(&self, reason: &str) {
        self.delivery_failures.inc();
        *self.trail.obstacle() = Some(format!("records are not taken: {reason}"));
    }

    /// The log cannot be read, for this reason.
    pub fn not_read(&self, reason: &str) {
        self.read_failures.inc();
        *self.trail.obstacle() = Some(format!("the log cannot be read: {reason}"));
    }
}

impl Trail {
    fn obstacle(&self) -> MutexGuard<'_, Option<String>> {
        self.obstacle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long records may have been missing. It is found when somebody asks, so that it grows
/// while the worker waits for something.
#[derive(Debug)]
struct Lag(Arc<Trail>);

impl Collector for Lag {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let behind_us = now().0.saturating_sub(self.0.complete_until.load(Ordering::Relaxed));
        let behind = Duration::from_micros(behind_us.max(0).unsigned_abs());
        let lag = ConstGauge::new(behind.as_secs_f64());
        let help = "For how long audit records may have been missing";
        let unit = Unit::Seconds;
        lag.encode(encoder.encode_descriptor(
            "configapi_audit_lag",
            help,
            Some(&unit),
            lag.metric_type(),
        )?)
    }
}
