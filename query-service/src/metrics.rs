//! What the read server tells about itself. No label ever holds anything that a caller sent.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use configapi_domain::Position;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Metric, Registry, Unit};

use crate::board::{Lag, Progress};
use crate::view::{Condition, View};

const LAG: &str = "For how long events may have been missing";

type Seconds = Gauge<f64, AtomicU64>;
type Number = Gauge<u64, AtomicU64>;

/// Handles to the metrics of the read server. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct QueryMetrics {
    applied_position: Number,
    head_position: Number,
    lag_events: Number,
    serving: Gauge,
    epoch: Number,
    live_configs: Number,
    deleted_configs: Number,
    versions: Number,
    replay_seconds: Seconds,
    snapshot_seconds: Seconds,
    snapshot_bytes: Number,
    snapshot_position: Number,
    pub(crate) snapshot_failures: Counter,
    pub(crate) watchers: Gauge,
    pub(crate) head_questions: Counter,
    trouble: Family<KindLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// All kinds of trouble that a tailer has.
const TROUBLE_KINDS: [&str; 15] = [
    "anchor_gone",
    "another_log",
    "broken_chain",
    "corrupt",
    "gap",
    "malformed",
    "older_epoch",
    "snapshots",
    "standby_behind",
    "time_runs_backwards",
    "unavailable",
    "unfoldable",
    "unknown_type",
    "unknown_version",
    "unusable",
];

impl QueryMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        add(registry, "applied_position", "Last position applied", &all.applied_position);
        add(registry, "head_position", "Newest position known of", &all.head_position);
        add(registry, "lag_events", "Events known of and not applied", &all.lag_events);
        add(registry, "serving", "1 if reads are served", &all.serving);
        add(registry, "epoch", "Epoch of the log", &all.epoch);
        add(registry, "live_configs", "Configs that exist", &all.live_configs);
        add(registry, "deleted_configs", "Configs that are deleted", &all.deleted_configs);
        add(registry, "versions", "Versions of all configs", &all.versions);
        add(registry, "snapshot_position", "Last position in a snapshot", &all.snapshot_position);
        add(registry, "snapshot_failures", "Snapshots not written", &all.snapshot_failures);
        add(registry, "watchers", "Watches that are open", &all.watchers);
        let questions = "Questions to the store for linearizable reads";
        add(registry, "head_questions", questions, &all.head_questions);
        let trouble = "Times that the log could not be followed, by kind";
        add(registry, "tailer_errors", trouble, &all.trouble);
        // A counter that is not there before its first count hides that count from rates.
        for kind in TROUBLE_KINDS {
            let _ = all.trouble.get_or_create(&KindLabel { kind });
        }
        all.register_units(registry);
        all
    }

    fn register_units(&self, registry: &mut Registry) {
        let mut seconds = |name: &str, help: &str, metric: &Seconds| {
            let name = format!("configapi_query_{name}");
            registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
        };
        seconds("replay", "Time that the replay at the start took", &self.replay_seconds);
        seconds("snapshot", "Time that the last snapshot took", &self.snapshot_seconds);
        registry.register_with_unit(
            "configapi_query_snapshot",
            "Size of the last snapshot",
            Unit::Bytes,
            self.snapshot_bytes.clone(),
        );
    }

    pub(crate) fn published(&self, view: &View) {
        self.serving.set(i64::from(view.condition == Condition::Serving));
        self.epoch.set(view.log.lineage.current().0);
    }

    pub(crate) fn progress(&self, progress: &Progress) {
        self.applied_position.set(progress.applied.position.0);
        self.head_position.set(progress.head().0);
        self.lag_events.set(progress.lag_events());
        self.live_configs.set(progress.counts.live);
        self.deleted_configs.set(progress.counts.deleted);
        self.versions.set(progress.counts.versions);
    }

    pub(crate) fn replayed(&self, took: Duration) {
        self.replay_seconds.set(took.as_secs_f64());
    }

    /// A start would not have to read the log up to here.
    pub(crate) fn covered(&self, position: Position) {
        self.snapshot_position.set(position.0);
    }

    pub(crate) fn snapshot_found(&self, bytes: u64) {
        self.snapshot_bytes.set(bytes);
    }

    pub(crate) fn snapshot_written(&self, bytes: u64, took: Duration) {
        self.snapshot_bytes.set(bytes);
        self.snapshot_seconds.set(took.as_secs_f64());
    }

    pub(crate) fn trouble(&self, kind: &'static str) {
        self.trouble.get_or_create(&KindLabel { kind }).inc();
    }
}

impl Collector for Lag {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let lag = ConstGauge::new(self.now().as_secs_f64());
        let (name, kind) = ("configapi_query_lag", lag.metric_type());
        lag.encode(encoder.encode_descriptor(name, LAG, Some(&Unit::Seconds), kind)?)
    }
}

fn add(registry: &mut Registry, name: &str, help: &str, metric: &(impl Metric + Clone)) {
    registry.register(format!("configapi_query_{name}"), help, metric.clone());
}
