//! One scenario from beginning to end: start everything, keep it busy, strike again and again,
//! let it recover, compare what is left, and judge.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::assembly::Surroundings;
use super::blindness;
use super::cluster::{Cluster, Storage};
use super::command_client::CommandClient;
use super::failpoints;
use super::false_clock::FalseClock;
use super::fleet::Fleet;
use super::nemesis::{Nemesis, heal};
use super::overload;
use super::query_client::QueryClient;
use super::readers::Reader;
use super::recorder::{Load, Recorder};
use super::recovery::recovered;
use super::report::Report;
use super::scenario::{Fault, Scenario};
use super::stored_log;
use super::syncs;
use super::watchers::Watcher;
use super::writers::Writer;
use crate::Random;
use crate::checkers::log::Log;
use crate::checkers::{Evidence, check_all};

/// Who goes on while a scenario strikes.
pub(super) const CLIENTS: Clients = Clients { writers: 8, readers: 8, watchers: 0..8 };
/// What must have been done between two strikes, or the run is void.
const FLOOR: Load = Load { acknowledged: 60, answered: 60, delivered: 60 };
/// How long that may take.
const FLOOR_LIMIT: Duration = Duration::from_secs(30);
/// How long the read servers and the watches may take to agree after the last write.
const CONVERGENCE_LIMIT: Duration = Duration::from_secs(5);
/// How long clients may take to come to an end.
const END_LIMIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How far the clock of a server may be off from the database's.
const CLOCK_SKEW: Duration = Duration::from_secs(2);
/// What a server may hold at the end.
const MAX_MEMORY_BYTES: u64 = 1 << 30;
const MAX_DESCRIPTORS: usize = 400;
/// Among how many tries a fault must have taken effect as often as asked for.
const TRIES_PER_CYCLE: u32 = 3;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The scenario.
    pub scenario: Scenario,
    /// How often it strikes.
    pub cycles: u32,
    /// Where chance begins: the same seed gives the same faults in the same order.
    pub seed: u64,
    /// Where logs, snapshots and the history go.
    pub folder: PathBuf,
}

/// Runs a scenario. An error means that the harness itself failed.
pub async fn run(plan: &Plan) -> Result<Report> {
    let mut report = Report::new(plan.scenario.name, plan.cycles, plan.seed);
    let fault = plan.scenario.fault;
    report.skipped = cannot_be_done(fault).await?;
    if report.skipped.is_some() {
        return Ok(report);
    }
    let name = plan.scenario.name;
    let cluster = match fault {
        Fault::CutPowerUnsynced => {
            blindness::check(plan, &mut report).await?;
            return Ok(report);
        }
        Fault::Overload(time) => {
            overload::check(plan, time, &mut report).await?;
            return Ok(report);
        }
        Fault::CutPower | Fault::FillDisk(_) => {
            Cluster::create_on_disk(name, Storage::Synced).await?
        }
        _ => Cluster::create(name).await?,
    };
    let (mut fleet, recorder) = start(plan, cluster).await?;
    let workload = Workload::start(&fleet, &recorder, plan.seed, &CLIENTS)?;
    strike_again_and_again(plan, &mut fleet, &recorder, &mut report).await?;
    heal(&fleet);
    workload.end(&fleet, &mut report).await?;
    check_bounds(&fleet, &mut report);
    judge(plan, fleet, &recorder, None, &mut report).await?;
    Ok(report)
}

/// Why this machine cannot do a fault; none if it can.
async fn cannot_be_done(fault: Fault) -> Result<Option<String>> {
    let (is_possible, why) = match fault {
        Fault::CutPower | Fault::CutPowerUnsynced | Fault::FillDisk(_) => {
            (Cluster::can_cut_power()?, "no file system can be mounted here; run it as root")
        }
        Fault::DelaySync { .. } | Fault::FailSync => {
            (syncs::are_possible().await, "strace is not there, or may not be used; run it as root")
        }
        Fault::StepClock(..) => (
            FalseClock::is_possible(),
            "a clock cannot be set here; it takes Linux and a C compiler",
        ),
        Fault::Failpoints => {
            (failpoints::are_built(), "programs with failpoints are not built; scripts/chaos does")
        }
        _ => (true, ""),
    };
    Ok((!is_possible).then(|| why.to_owned()))
}

/// What every server may hold at the end, whatever happened.
pub(super) fn check_bounds(fleet: &Fleet, report: &mut Report) {
    for server in fleet.servers() {
        report.expect(server.memory_bytes() < MAX_MEMORY_BYTES, || {
            format!("{} holds {} bytes of memory", server.name, server.memory_bytes())
        });
        report.expect(server.descriptors() < MAX_DESCRIPTORS, || {
            format!("{} has {} descriptors open", server.name, server.descriptors())
        });
    }
}

/// Holds what clients saw against the log that was left, and ends everything.
pub(super) async fn judge(
    plan: &Plan,
    fleet: Fleet,
    recorder: &Recorder,
    not_recorded: Option<&'static str>,
    report: &mut Report,
) -> Result<()> {
    report.load = recorder.load();
    let log = stored_log::read(&fleet.cluster).await?;
    report.events = log.head();
    judge_times(&log, recorder, report);
    let tail_may_be_lost = plan.scenario.may_lose_tail();
    let history = recorder.take_history();
    history.write_to(std::io::BufWriter::new(std::fs::File::create(
        plan.folder.join("history.jsonl"),
    )?))?;
    let evidence = Evidence { history, log, tail_may_be_lost, not_recorded };
    report.findings = tokio::task::spawn_blocking(move || check_all(&evidence)).await?;
    if tail_may_be_lost && report.void.is_none() && report.findings.lost_and_said_so == 0 {
        report.void = Some("nothing that was acknowledged was lost with the tail".to_owned());
    }
    let Fleet { cluster, .. } = fleet;
    cluster.destroy().await
}

/// Whatever the clocks of servers did, what they recorded happened during this run.
fn judge_times(log: &Log, recorder: &Recorder, report: &mut Report) {
    let during = recorder.wall_clock_us(CLOCK_SKEW);
    let wrong = log.events().iter().filter(|row| !during.contains(&row.recorded_at_us)).count();
    report.expect(wrong == 0, || format!("{wrong} events were recorded at a wrong time"));
}

/// Starts everything and waits until it works.
pub(super) async fn start(plan: &Plan, cluster: Cluster) -> Result<(Fleet, Arc<Recorder>)> {
    let surroundings = match plan.scenario.fault {
        Fault::Overload(_) => Surroundings::Bare,
        Fault::StepClock(..) => Surroundings::FalseClocks,
        Fault::Failpoints => Surroundings::Failpoints,
        _ => Surroundings::Proxies,
    };
    let fleet = Fleet::start(&plan.folder, cluster, surroundings).await?;
    let recorder = Arc::new(Recorder::default());
    let first = recovered(&fleet, &recorder, u64::MAX).await.context("the system does not start");
    first.with_context(|| format!("its logs are in {}", plan.folder.display()))?;
    Ok((fleet, recorder))
}

async fn strike_again_and_again(
    plan: &Plan,
    fleet: &mut Fleet,
    recorder: &Arc<Recorder>,
    report: &mut Report,
) -> Result<()> {
    let fault = plan.scenario.fault;
    let mut nemesis = Nemesis::new(plan.seed);
    for cycle in 0..plan.cycles * TRIES_PER_CYCLE {
        if report.effective == plan.cycles {
            break;
        }
        if !is_busy(recorder).await {
            report.void = Some(format!("too little was done before strike {cycle}"));
            return Ok(());
        }
        let blow = nemesis.strike(fault, fleet, recorder).await?;
        report.other.extend(blow.wrong);
        if blow.took_effect {
            report.effective += 1;
            if let Some(kind) = blow.kind {
                *report.kinds.entry(kind).or_default() += 1;
            }
        }
        let Ok(time) = recovered(fleet, recorder, u64::from(cycle)).await else {
            report.other.push(format!("no recovery after strike {cycle}"));
            return Ok(());
        };
        report.recoveries.push(time);
    }
    if report.effective < plan.cycles {
        report.void = Some("the fault did not take effect often enough".to_owned());
    }
    let missing = nemesis.missing(fault, report.effective);
    if !missing.is_empty() {
        report.void = Some(format!("never took effect: {}", missing.join(", ")));
    }
    if !is_busy(recorder).await {
        report.void = Some("too little was done after the last strike".to_owned());
    }
    Ok(())
}

/// Waits until enough was done; tells whether that happened in time.
pub(super) async fn is_busy(recorder: &Recorder) -> bool {
    let before = recorder.load();
    let is_enough = || {
        let now = recorder.load();
        now.acknowledged >= before.acknowledged + FLOOR.acknowledged
            && now.answered >= before.answered + FLOOR.answered
            && now.delivered >= before.delivered + FLOOR.delivered
    };
    let give_up_at = Instant::now() + FLOOR_LIMIT;
    while !is_enough() && Instant::now() < give_up_at {
        sleep(LOOK_EVERY).await;
    }
    is_enough()
}

/// How many clients of each kind there are.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    pub writers: u32,
    pub readers: u32,
    /// The numbers of those who watch, which say what.
    pub watchers: Range<u32>,
}

/// All clients.
pub(super) struct Workload {
    writing: JoinSet<()>,
    watching: JoinSet<()>,
    stop_writing: watch::Sender<bool>,
    stop_watching: watch::Sender<bool>,
    reached: Vec<Arc<AtomicU64>>,
    queries: Vec<QueryClient>,
}

impl Workload {
    pub(super) fn start(
        fleet: &Fleet,
        recorder: &Arc<Recorder>,
        seed: u64,
        clients: &Clients,
    ) -> Result<Self> {
        let (stop_writing, stop_watching) = (watch::Sender::new(false), watch::Sender::new(false));
        let (mut writing, mut watching) = (JoinSet::new(), JoinSet::new());
        let random = Random::new(!seed);
        let queries = || -> Result<Vec<QueryClient>> {
            let servers = fleet.queries.iter();
            servers.map(|it| QueryClient::new(&it.name, it.edge.address())).collect()
        };
        for process in 0..clients.writers {
            let mut clients = Vec::new();
            for server in &fleet.commands {
                clients.push(CommandClient::grpc(server.edge.address())?);
            }
            // One in four prefers curl.
            if process.is_multiple_of(4) {
                clients.push(CommandClient::rest(fleet.gateway.edge.address())?);
            }
            let (random, stop) = (random.fork(u64::from(process)), stop_writing.subscribe());
            let writer = Writer::new(process, random, clients, Arc::clone(recorder), stop);
            writing.spawn(writer.run());
        }
        for process in clients.writers..clients.writers + clients.readers {
            let (random, stop) = (random.fork(u64::from(process)), stop_writing.subscribe());
            let reader = Reader::new(process, random, queries()?, Arc::clone(recorder), stop);
            writing.spawn(reader.run());
        }
        let mut all_reached = Vec::new();
        for number in clients.watchers.clone() {
            let reached = Arc::new(AtomicU64::new(0));
            all_reached.push(Arc::clone(&reached));
            let (random, stop) =
                (random.fork(1_000 + u64::from(number)), stop_watching.subscribe());
            let recorder = Arc::clone(recorder);
            let watcher = Watcher::new(number, random, queries()?, recorder, stop, reached);
            watching.spawn(watcher.run());
        }
        let queries = queries()?;
        Ok(Self { writing, watching, stop_writing, stop_watching, reached: all_reached, queries })
    }

    /// Ends writers and readers, waits until all that follow have caught up, and ends the rest.
    pub(super) async fn end(mut self, fleet: &Fleet, report: &mut Report) -> Result<()> {
        self.stop_writing.send_replace(true);
        let ended = timeout(END_LIMIT, std::mem::take(&mut self.writing).join_all()).await;
        ended.context("the clients do not come to an end")?;
        let head = stored_log::head(&fleet.cluster).await?;
        ensure!(head > 0, "nothing was written");
        let begun = Instant::now();
        let mut differences = vec!["nobody looked".to_owned()];
        while !differences.is_empty() && begun.elapsed() < CONVERGENCE_LIMIT {
            sleep(LOOK_EVERY).await;
            differences = self.differences(head).await;
        }
        report.convergence = begun.elapsed();
        report.expect(differences.is_empty(), || {
            format!("after {CONVERGENCE_LIMIT:?} without writes: {}", differences.join("; "))
        });
        self.stop_watching.send_replace(true);
        let ended = timeout(END_LIMIT, self.watching.join_all()).await;
        ended.context("the watchers do not come to an end")?;
        Ok(())
    }

    /// Who has not caught up, or holds something else than the others.
    async fn differences(&mut self, head: u64) -> Vec<String> {
        let mut differences = Vec::new();
        let mut hashes = Vec::new();
        for query in &mut self.queries {
            match query.status().await {
                Ok((place, hash)) if place.position == head => hashes.push(hash),
                Ok((place, _)) => {
                    differences
                        .push(format!("{} is at {} of {head}", query.server, place.position));
                }
                Err(why) => differences.push(format!("{}: {why}", query.server)),
            }
        }
        if hashes.iter().any(|hash| hash.is_empty() || *hash != hashes[0]) {
            differences.push("the read servers hold different states".to_owned());
        }
        for (number, reached) in self.reached.iter().enumerate() {
            let reached = reached.load(Ordering::Relaxed);
            if reached != head {
                differences.push(format!("watch {number} is at {reached} of {head}"));
            }
        }
        differences
    }
}
