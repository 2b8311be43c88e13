//! A harness that cannot see a loss proves nothing. Here one is made, by cutting the power of a
//! database that does not sync, and it has to be seen.

use anyhow::Result;

use super::cluster::{Cluster, Storage};
use super::power::cut_power;
use super::report::Report;
use super::run::{CLIENTS, Plan, Workload, is_busy, start};
use super::stored_log;
use crate::Random;
use crate::checkers::{Check, Evidence, check_all};

/// Makes a loss and expects it to be found.
pub async fn check(plan: &Plan, report: &mut Report) -> Result<()> {
    report.cycles = 1;
    let cluster = Cluster::create_on_disk(plan.scenario.name, Storage::NotSynced).await?;
    let (mut fleet, recorder) = start(plan, cluster).await?;
    // The log itself shall survive; what is written to it from now on is on its own.
    if let Some(disk) = fleet.cluster.disk() {
        disk.sync()?;
    }
    let workload = Workload::start(&fleet, &recorder, plan.seed, &CLIENTS)?;
    if !is_busy(&recorder).await {
        report.void = Some("too little was done before the power was cut".to_owned());
        return Ok(());
    }
    let mut random = Random::new(plan.seed);
    report.effective = u32::from(cut_power(&mut fleet, &mut random, &recorder).await?);
    drop(workload);
    report.load = recorder.load();
    let log = stored_log::read(&fleet.cluster).await?;
    report.events = log.head();
    let history = recorder.take_history();
    let evidence = Evidence { history, log, tail_may_be_lost: false, not_recorded: None };
    let findings = tokio::task::spawn_blocking(move || check_all(&evidence)).await?;
    let lost = findings.count(Check::Durable);
    if lost > 0 {
        report.notes.push(format!("the planted loss of {lost} acknowledged events was seen"));
    }
    report.expect(lost > 0, || "a planted loss was not seen: the harness is blind".to_owned());
    fleet.cluster.destroy().await
}
