//! What the committer tells about itself. No label ever holds a config's name.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::{Limits, Refusal};

/// Handles to the committer's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CommitterMetrics {
    queue_depth: Gauge,
    queue_limit: Gauge<u64, AtomicU64>,
    serving: Gauge,
    log_refused: Gauge,
    batch_commands: Histogram,
    commit_seconds: Histogram,
    events: Counter,
    head_position: Gauge<u64, AtomicU64>,
    races_lost: Counter,
    ambiguous: Counter,
}

impl CommitterMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            queue_depth: Gauge::default(),
            queue_limit: Gauge::default(),
            serving: Gauge::default(),
            log_refused: Gauge::default(),
            batch_commands: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            events: Counter::default(),
            head_position: Gauge::default(),
            races_lost: Counter::default(),
            ambiguous: Counter::default(),
        };
        registry.register(
            "configapi_command_queue_depth",
            "Commands that wait for the committer",
            metrics.queue_depth.clone(),
        );
        metrics.register_state(registry);
        registry.register(
            "configapi_command_batch_commands",
            "Commands decided and committed as one group",
            metrics.batch_commands.clone(),
        );
        registry.register(
            "configapi_command_commit_seconds",
            "Time that the store took for one commit",
            metrics.commit_seconds.clone(),
        );
        registry.register(
            "configapi_command_events_appended",
            "Events appended to the log",
            metrics.events.clone(),
        );
        registry.register(
            "configapi_command_log_head_position",
            "Newest position of the log that this server knows",
            metrics.head_position.clone(),
        );
        registry.register(
            "configapi_command_races_lost",
            "Commits that another command server was faster than",
            metrics.races_lost.clone(),
        );
        registry.register(
            "configapi_command_ambiguous_commits",
            "Commits whose outcome the store did not tell at once",
            metrics.ambiguous.clone(),
        );
        metrics
    }

    fn register_state(&self, registry: &mut Registry) {
        let mut gauge = |name: &str, help: &str, gauge: &Gauge| {
            registry.register(name, help, gauge.clone());
        };
        gauge("configapi_command_serving", "1 if commands can be recorded", &self.serving);
        let refused = "1 if the log is not what it was, and nothing is written for that reason";
        gauge("configapi_command_log_refused", refused, &self.log_refused);
        registry.register(
            "configapi_command_queue_limit",
            "Commands that may wait for the committer",
            self.queue_limit.clone(),
        );
    }

    pub(super) fn limits(&self, limits: &Limits) {
        self.queue_limit.set(limits.queue_submissions as u64);
    }

    pub(super) fn health(&self, trouble: Option<&Refusal>) {
        let is_refused = matches!(
            trouble,
            Some(
                Refusal::LogChanged
                    | Refusal::ToldTooLate { .. }
                    | Refusal::LogRefused(_)
                    | Refusal::AnotherLog { .. }
                    | Refusal::Broken(_)
            )
        );
        self.serving.set(i64::from(trouble.is_none()));
        self.log_refused.set(i64::from(is_refused));
    }

    pub(super) fn queued(&self) {
        self.queue_depth.inc();
    }

    pub(super) fn taken(&self) {
        self.queue_depth.dec();
    }

    pub(super) fn batch(&self, commands: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a batch has a few thousand at most")]
        self.batch_commands.observe(commands as f64);
    }

    pub(super) fn committed(&self, events: usize, took: Duration) {
        self.events.inc_by(events as u64);
        self.commit_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn head(&self, position: u64) {
        self.head_position.set(position);
    }

    pub(super) fn race_lost(&self) {
        self.races_lost.inc();
    }

    pub(super) fn ambiguous(&self) {
        self.ambiguous.inc();
    }

    /// Metrics that nobody collects, for tests.
    pub fn unregistered() -> Self {
        Self::register(&mut Registry::default())
    }
}
