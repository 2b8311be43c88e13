//! The results of one run of the suite, as they are kept.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::shown;
use crate::{
    load::Outcome,
    suite::{Conditions, Measurement, Subject, Unit},
    workload::Workload,
};

/// All that one run of the suite found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// When it began, in UTC.
    pub date: Timestamp,
    /// How long it took.
    pub took_seconds: u64,
    /// On what.
    pub conditions: Conditions,
    /// How it was run.
    pub settings: RunSettings,
    /// What was not measured, and why.
    pub skipped: Vec<String>,
    /// Runs that failed, and why; they are not among the runs measured.
    pub failures: Vec<String>,
    /// The measurements.
    pub measured: Vec<Measured>,
    /// Starts of a query server, shortest log first.
    pub starts: Vec<ServerStart>,
}

/// How the suite was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RunSettings {
    pub rounds: usize,
    pub window_ms: u64,
    pub warm_up_ms: u64,
    pub value_bytes: usize,
}

/// One measurement on one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The measurement's short name.
    pub id: String,
    /// What it is called in reports.
    pub title: String,
    /// Who was measured.
    pub subject: Subject,
    /// What was asked for.
    pub workload: Workload,
    /// What is counted.
    pub unit: Unit,
    /// How many configs there were.
    pub keys: u64,
    /// How many connections.
    pub connections: usize,
    /// How many requests in flight on each.
    pub in_flight: usize,
    /// The median of the runs.
    pub per_second: f64,
    /// The median of the runs' medians.
    pub p50_us: f64,
    /// The median of the runs' 99th percentiles.
    pub p99_us: f64,
    /// The medians of CPU time.
    pub cpu_us: CpuPerOperation,
    /// The runs.
    pub runs: Vec<Run>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What came of it.
    pub outcome: Outcome,
    /// What it cost.
    pub cpu_us: CpuPerOperation,
}

/// CPU time in microseconds for each operation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CpuPerOperation {
    /// Of the load generator.
    pub client: f64,
    /// Of the subject's own processes.
    pub server: f64,
    /// Of the database server, if there is one.
    pub database: Option<f64>,
}

/// One start of a query server without a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ServerStart {
    /// How many events the log had.
    pub events: u64,
    /// How many configs existed.
    pub configs: u64,
    /// From the start of the process until it served.
    pub ready_after_ms: f64,
    /// Events by that time.
    pub events_per_second: f64,
    /// What it held in memory then.
    pub memory_mib: f64,
}

impl Results {
    /// Results with nothing measured yet.
    pub fn new(conditions: Conditions, settings: RunSettings) -> Self {
        Self {
            date: Timestamp::now(),
            took_seconds: 0,
            conditions,
            settings,
            skipped: Vec::new(),
            failures: Vec::new(),
            measured: Vec::new(),
            starts: Vec::new(),
        }
    }

    /// What the files are called.
    pub fn name(&self) -> String {
        self.date.to_zoned_datetime(TimeZone::UTC).strftime("%Y-%m-%d-%H%M").to_string()
    }

    /// One measurement on one subject.
    pub fn find(&self, id: &str, subject: Subject) -> Option<&Measured> {
        self.measured.iter().find(|one| one.id == id && one.subject == subject)
    }

    /// As JSON, each measurement on a line of its own.
    pub fn to_json(&self) -> serde_json::Result<String> {
        const BEGINNING: &str = "{\"id\":\"";
        let json = serde_json::to_string(self)?;
        // Within a string the quotes would be escaped, so this matches objects alone.
        Ok(json.replace(BEGINNING, &format!("\n{BEGINNING}")) + "\n")
    }
}

impl Measured {
    /// The medians of some runs; nothing if there are none.
    pub(crate) fn of(
        measurement: &Measurement,
        subject: Subject,
        keys: u64,
        runs: Vec<Run>,
    ) -> Option<Self> {
        let median = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
        let databases: Option<Vec<f64>> = runs.iter().map(|run| run.cpu_us.database).collect();
        Some(Self {
            id: measurement.id.to_owned(),
            title: measurement.title(keys),
            subject,
            workload: measurement.workload,
            unit: measurement.unit,
            keys,
            connections: measurement.connections,
            in_flight: measurement.in_flight,
            per_second: median(|run| run.outcome.per_second)?,
            p50_us: median(|run| run.outcome.latency_us.p50)?,
            p99_us: median(|run| run.outcome.latency_us.p99)?,
            cpu_us: CpuPerOperation {
                client: median(|run| run.cpu_us.client)?,
                server: median(|run| run.cpu_us.server)?,
                database: databases.and_then(self::median),
            },
            runs,
        })
    }

    /// Whether it tells by its latency rather than by its throughput.
    pub fn is_about_latency(&self) -> bool {
        self.workload == Workload::FanOut
            || (self.workload != Workload::Bulk && self.connections * self.in_flight == 1)
    }

    /// A line for whoever looks on.
    pub(crate) fn line(&self) -> String {
        let Self { subject, per_second, p50_us, p99_us, cpu_us, .. } = self;
        let subject = subject.title();
        let (per_second, p50, p99) = (shown(*per_second), shown(*p50_us), shown(*p99_us));
        let CpuPerOperation { client, server, database } = cpu_us;
        let database = database.map(|time| format!(" database {time:.1}")).unwrap_or_default();
        format!(
            "{subject:24} {per_second:>9}/s  p50 {p50:>7} µs  p99 {p99:>7} µs  \
             CPU client {client:.1} server {server:.1}{database} µs"
        )
    }
}

impl ServerStart {
    /// A line for whoever looks on.
    pub(crate) fn line(&self) -> String {
        let (events, after) = (self.events, shown(self.ready_after_ms));
        let (rate, memory) = (shown(self.events_per_second), shown(self.memory_mib));
        format!("ready with {events} events after {after} ms ({rate}/s), {memory} MiB")
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    let upper = *numbers.get(numbers.len() / 2)?;
    let lower = *numbers.get((numbers.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}
