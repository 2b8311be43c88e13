//! A database whose disk is full: commands are refused, nothing is lost, reads go on, and commands
//! go on by themselves once there is room.

use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::raw_sql;
use tokio::time::{Instant, sleep};

use super::fleet::Fleet;
use super::nemesis::Blow;
use super::recorder::Recorder;

/// How long it may take until commands are refused.
const MOMENT_LIMIT: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How many commands must have been refused for that, and how many reads answered meanwhile.
const REFUSALS: u64 = 20;
const READS: u64 = 20;
/// How many files of the write-ahead log may lie ready, and what uses one up.
const MAX_SEGMENTS: usize = 64;
const FILL_WAL: &str =
    "SELECT pg_logical_emit_message(false, 'filling', 'it up'); SELECT pg_switch_wal()";
const WANTED: &str = "UNAVAILABLE";

/// Fills the disk and makes room again. Every second time the database needs a new file for its
/// write-ahead log meanwhile, which is the end of it until it has recovered.
pub async fn fill_disk(
    fleet: &mut Fleet,
    strike: u64,
    time: Duration,
    recorder: &Recorder,
) -> Result<Blow> {
    let is_about_log = strike.is_multiple_of(2);
    let refused_before = recorder.failed_with(WANTED);
    let broken_before = recorder.failed_with("INTERNAL");
    let panics_before = fleet.cluster.panics();
    let disk = fleet.cluster.disk().context("the cluster is on no disk of its own")?;
    let filling = disk.fill()?;
    if is_about_log && let Ok(mut connection) = fleet.cluster.connect().await {
        let mut segments = 0;
        while segments < MAX_SEGMENTS && raw_sql(FILL_WAL).execute(&mut connection).await.is_ok() {
            segments += 1;
        }
    }
    let refused = || recorder.failed_with(WANTED) - refused_before;
    let give_up_at = Instant::now() + MOMENT_LIMIT;
    while refused() < REFUSALS && Instant::now() < give_up_at {
        sleep(LOOK_EVERY).await;
    }
    let took_effect = refused() >= REFUSALS;
    let answered_before = recorder.load().answered;
    sleep(time).await;
    let answered = recorder.load().answered - answered_before;
    drop(filling);
    // If it gave up for good, somebody who watches over it starts it again.
    fleet.cluster.wait_until_it_answers().await?;
    let mut wrong = Vec::new();
    if answered < READS {
        wrong.push(format!("only {answered} reads were answered while the disk was full"));
    }
    let broken = recorder.failed_with("INTERNAL") - broken_before;
    if broken > 0 {
        wrong.push(format!("{broken} commands failed with INTERNAL, {WANTED} is wanted"));
    }
    let has_panicked = fleet.cluster.panics() > panics_before;
    let kind = if has_panicked { "no room for the database's log" } else { "no room for rows" };
    Ok(Blow { took_effect, kind: Some(kind.to_owned()), wrong })
}
