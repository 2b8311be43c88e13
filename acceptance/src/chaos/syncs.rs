//! Slow and failing disks, as the database sees them: strace holds every sync back, or answers it
//! with an error instead of doing it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::cluster::Cluster;
use super::fleet::Fleet;
use super::nemesis::Blow;

const TRACER: &str = "strace";
const CALLS: &str = "fsync,fdatasync";
/// What the tracer writes behind a call that it meddled with.
const MARKS: [&str; 2] = ["(DELAYED)", "(INJECTED)"];
/// How long a fault waits for its moment, and how long the tracer may take to let go.
const MOMENT_LIMIT: Duration = Duration::from_secs(15);
const LET_GO_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How many syncs have to be slow for that.
const SLOW_SYNCS: usize = 3;

/// Whether this machine can do it.
pub async fn are_possible() -> bool {
    let tried = Command::new(TRACER)
        .args(["-f", "-e", "inject=fsync:error=EIO", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.await.is_ok_and(|status| status.success())
}

/// Holds back every sync of the database for a while.
pub async fn delay_syncs(fleet: &Fleet, by: Duration, time: Duration) -> Result<Blow> {
    let delay = format!("delay_enter={}", by.as_micros());
    let tracer = Tracer::attach(&fleet.cluster, &delay)?;
    sleep(time).await;
    let delayed = tracer.meddled();
    tracer.let_go().await?;
    Ok((delayed >= SLOW_SYNCS).into())
}

/// Lets a sync fail. The database must end at once, for it cannot know what is on the disk.
pub async fn fail_sync(fleet: &mut Fleet) -> Result<Blow> {
    let panics_before = fleet.cluster.panics();
    let tracer = Tracer::attach(&fleet.cluster, "error=EIO")?;
    let give_up_at = Instant::now() + MOMENT_LIMIT;
    while tracer.meddled() == 0 && Instant::now() < give_up_at {
        sleep(LOOK_EVERY).await;
    }
    let has_failed = tracer.meddled() > 0;
    tracer.let_go().await?;
    while fleet.cluster.panics() == panics_before && Instant::now() < give_up_at {
        sleep(LOOK_EVERY).await;
    }
    // Its recovery may have met the same disk, and given up.
    fleet.cluster.wait_until_it_answers().await?;
    Ok((has_failed && fleet.cluster.panics() > panics_before).into())
}

/// A tracer at all processes of a database, those to come included.
struct Tracer {
    process: Child,
    told: PathBuf,
}

impl Tracer {
    fn attach(cluster: &Cluster, injection: &str) -> Result<Self> {
        let told = cluster.beside("trace");
        let _ = std::fs::remove_file(&told);
        let mut command = Command::new(TRACER);
        command.args(["-f", "-e", &format!("trace={CALLS}")]);
        command.args(["-e", &format!("inject={CALLS}:{injection}")]);
        command.arg("-o").arg(&told);
        for process in cluster.processes() {
            command.args(["-p", &process]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.kill_on_drop(true).spawn().context("there is no strace")?;
        Ok(Self { process, told })
    }

    /// How many syncs it meddled with.
    fn meddled(&self) -> usize {
        let told = std::fs::read_to_string(&self.told).unwrap_or_default();
        told.lines().filter(|line| MARKS.iter().any(|mark| line.contains(mark))).count()
    }

    async fn let_go(mut self) -> Result<()> {
        if let Some(id) = self.process.id() {
            Command::new("kill").args(["-INT", &id.to_string()]).status().await?;
        }
        timeout(LET_GO_LIMIT, self.process.wait()).await.context("strace does not let go")??;
        let _ = std::fs::remove_file(&self.told);
        Ok(())
    }
}
