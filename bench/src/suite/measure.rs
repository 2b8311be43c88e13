//! Measures several subjects in turns: A B C, B C A, and so on, so that whatever the machine does
//! meanwhile is done to all of them.

use std::time::Duration;

use anyhow::Context as _;

use super::{
    Options, cpu,
    plan::Measurement,
    subjects::{Running, Subject},
};
use crate::{
    cli::say,
    load::{self, Spec},
    report::{CpuPerOperation, Measured, Run},
};

/// What came of one measurement: by subject, and what went wrong.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub measured: Vec<Measured>,
    pub failures: Vec<String>,
}

/// Runs one measurement on those of its subjects that are there.
pub(super) async fn measure(
    measurement: &Measurement,
    keys: u64,
    running: &[Running],
    options: &Options,
) -> Findings {
    let there = |subject: &Subject| running.iter().find(|one| one.subject == *subject);
    let subjects: Vec<&Running> = measurement.subjects.iter().filter_map(there).collect();
    let mut findings = Findings::default();
    let mut runs: Vec<Vec<Run>> = subjects.iter().map(|_subject| Vec::new()).collect();
    for round in 0..options.rounds {
        for turn in 0..subjects.len() {
            let place = (round + turn) % subjects.len();
            let (Some(subject), Some(runs)) = (subjects.get(place), runs.get_mut(place)) else {
                continue;
            };
            match run(
                measurement,
                subject.keys(keys),
                subject,
                options,
                u64::try_from(round).unwrap_or(0),
            )
            .await
            {
                Ok(run) => runs.push(run),
                Err(error) => {
                    let who = subject.subject.title();
                    let failure = format!("{} on {who}: {error:#}", measurement.title);
                    say(&format!("  {failure}"));
                    findings.failures.push(failure);
                }
            }
        }
    }
    for (subject, runs) in subjects.iter().zip(runs) {
        let keys = subject.keys(keys);
        if let Some(measured) = Measured::of(measurement, subject.subject, keys, runs) {
            say(&format!("  {}", measured.line()));
            findings.measured.push(measured);
        }
    }
    findings
}

async fn run(
    measurement: &Measurement,
    keys: u64,
    subject: &Running,
    options: &Options,
    round: u64,
) -> anyhow::Result<Run> {
    let spec = Spec {
        round,
        connections: measurement.connections,
        in_flight: measurement.in_flight,
        rate_per_second: measurement.rate_per_second,
        warm_up: options.warm_up,
        window: options.window,
        keys,
        value_bytes: options.value_bytes,
        ..Spec::new(measurement.workload, subject.target(measurement.workload)?)
    };
    let before = Times::now(subject);
    let outcome = tokio::task::spawn_blocking(move || load::run(&spec)).await??;
    let after = Times::now(subject);
    let cpu_us = after.since(&before, outcome.operations_with_warm_up);
    if outcome.is_sound() {
        return Ok(Run { outcome, cpu_us });
    }
    let why = outcome
        .first_error
        .clone()
        .unwrap_or_else(|| format!("{} unfinished, {} unsent", outcome.unfinished, outcome.unsent));
    Err(anyhow::anyhow!(why))
        .with_context(|| format!("{} errors in {} operations", outcome.errors, outcome.operations))
}

/// CPU times of those who take part.
struct Times {
    client: Duration,
    server: Duration,
    database: Option<Duration>,
}

impl Times {
    fn now(subject: &Running) -> Self {
        let ids = subject.processes.iter().filter_map(super::process::Process::id);
        let database = match subject.subject {
            Subject::Postgres => postmaster().map(|id| cpu::time_of(id, true)),
            Subject::Echo | Subject::PostgresFew | Subject::Sqlite | Subject::Etcd => None,
        };
        Self {
            client: cpu::time_of(std::process::id(), false),
            server: ids.map(|id| cpu::time_of(id, false)).sum(),
            database,
        }
    }

    fn since(&self, before: &Self, operations: u64) -> CpuPerOperation {
        let each = |after: Duration, before: Duration| {
            let spent = after.saturating_sub(before).as_secs_f64() * 1e6;
            spent / crate::report::float(operations.max(1))
        };
        CpuPerOperation {
            client: each(self.client, before.client),
            server: each(self.server, before.server),
            database: self.database.zip(before.database).map(|(now, then)| each(now, then)),
        }
    }
}

/// The first process of the throw-away cluster.
fn postmaster() -> Option<u32> {
    let data = std::env::var("CONFIGAPI_TEST_PG_DATA").ok()?;
    let file = std::fs::read_to_string(format!("{data}/postmaster.pid")).ok()?;
    file.lines().next()?.trim().parse().ok()
}
