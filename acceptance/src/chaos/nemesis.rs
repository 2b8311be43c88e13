//! Does what scenarios say, and tells whether it took effect: a fault that struck nothing proves
//! nothing.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep};

use super::clock_steps::step_clock;
use super::cluster::Stop;
use super::cuts::Cuts;
use super::failpoints::Failpoints;
use super::fleet::{Fleet, Server};
use super::full_disk::fill_disk;
use super::power::cut_power;
use super::proxy::{Behaviour, CommitCut, Proxy};
use super::recorder::Recorder;
use super::scenario::{Fault, Role};
use super::stored_log;
use super::syncs::{delay_syncs, fail_sync};
use crate::Random;
use crate::checkers::history::Place;

/// How long a fault waits for its moment.
const MOMENT_LIMIT: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How many commands are acknowledged that the standby has not seen.
const LOST_WRITES: u64 = 20;

/// What came of one strike.
#[derive(Debug, Default)]
pub struct Blow {
    /// Whether it took effect: a fault that struck nothing proves nothing.
    pub took_effect: bool,
    /// Which of the scenario's faults it was, if it has many.
    pub kind: Option<String>,
    /// What was wrong while it lasted.
    pub wrong: Vec<String>,
}

impl From<bool> for Blow {
    fn from(took_effect: bool) -> Self {
        Self { took_effect, ..Self::default() }
    }
}

/// Who strikes. The same seed strikes alike.
#[derive(Debug)]
pub struct Nemesis {
    random: Random,
    cuts: Cuts,
    failpoints: Failpoints,
    strikes: u64,
}

impl Nemesis {
    /// Begins with a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let cuts = Cuts::all(&mut random);
        let failpoints = Failpoints::all(&mut random.fork(1));
        Self { random, cuts, failpoints, strikes: 0 }
    }

    /// Strikes once.
    pub async fn strike(
        &mut self,
        fault: Fault,
        fleet: &mut Fleet,
        recorder: &Recorder,
    ) -> Result<Blow> {
        let random = &mut self.random;
        self.strikes += 1;
        Ok(match fault {
            Fault::Kill(role) => one_of(fleet, role, random).kill_and_start().await.into(),
            Fault::Restart(role) => one_of(fleet, role, random).restart().await.into(),
            Fault::Freeze(role, time) => freeze(one_of(fleet, role, random), time).await.into(),
            Fault::Database(how) => {
                let was_running = fleet.cluster.stop(how).await?;
                fleet.cluster.start().await?;
                was_running.into()
            }
            Fault::TerminateSessions { times, every } => {
                let mut ended = 0;
                for _ in 0..times {
                    ended += fleet.cluster.terminate_sessions().await?;
                    sleep(every).await;
                }
                (ended > 0).into()
            }
            Fault::CutCommit => cut_commit(fleet, random).await.into(),
            Fault::CutAnswer => cut_answer(fleet, random).await.into(),
            Fault::Network(time) => self.cuts.strike(fleet, time, random).await,
            Fault::Failpoints => self.failpoints.strike(fleet, random).await,
            Fault::FillDisk(time) => fill_disk(fleet, self.strikes, time, recorder).await?,
            Fault::DelaySync { by, time } => delay_syncs(fleet, by, time).await?,
            Fault::FailSync => fail_sync(fleet).await?,
            Fault::StepClock(role, time) => {
                let is_forward = random.percent(50);
                let server = one_of(fleet, role, random);
                step_clock(server, role, is_forward, time, recorder).await?
            }
            Fault::Overload(_) => bail!("an overload is no strike"),
            Fault::CutPower | Fault::CutPowerUnsynced => {
                cut_power(fleet, random, recorder).await?.into()
            }
            Fault::PromoteStandby => promote_standby(fleet, random, recorder).await?.into(),
        })
    }

    /// Which faults of the scenario have not taken effect, though after so many strikes each should
    /// have.
    pub fn missing(&self, fault: Fault, strikes: u32) -> Vec<String> {
        let (count, missing) = match fault {
            Fault::Network(_) => (self.cuts.count(), self.cuts.missing()),
            Fault::Failpoints => (self.failpoints.count(), self.failpoints.missing()),
            _ => return Vec::new(),
        };
        if strikes as usize >= count { missing } else { Vec::new() }
    }
}

/// One of the servers, by lot.
pub(super) fn one_of<'a>(fleet: &'a mut Fleet, role: Role, random: &mut Random) -> &'a mut Server {
    match role {
        Role::Command => {
            let at = random.index(fleet.commands.len());
            &mut fleet.commands[at]
        }
        Role::Query => {
            let at = random.index(fleet.queries.len());
            &mut fleet.queries[at]
        }
        Role::Gateway => &mut fleet.gateway,
    }
}

async fn freeze(server: &Server, time: Duration) -> bool {
    let was_frozen = server.freeze(true).await && server.is_frozen();
    sleep(time).await;
    server.freeze(false).await && was_frozen
}

async fn cut_commit(fleet: &mut Fleet, random: &mut Random) -> bool {
    let cuts = [CommitCut::BeforeRequest, CommitCut::AfterRequest, CommitCut::BeforeAnswer];
    let cut = cuts[random.index(cuts.len())];
    let server = one_of(fleet, Role::Command, random);
    let Some(proxy) = &server.database else { return false };
    let before = proxy.cuts();
    proxy.cut_next_commit(cut);
    cuts_after(proxy, before).await
}

async fn cut_answer(fleet: &mut Fleet, random: &mut Random) -> bool {
    // An answer has some hundred bytes, the headers of its connection included.
    const MOST_BYTES: u64 = 600;
    let proxy = &one_of(fleet, Role::Command, random).edge;
    let before = proxy.cuts();
    proxy.cut_answers_after(random.below(MOST_BYTES));
    cuts_after(proxy, before).await
}

async fn cuts_after(proxy: &Proxy, before: u64) -> bool {
    let give_up_at = Instant::now() + MOMENT_LIMIT;
    while proxy.cuts() == before && Instant::now() < give_up_at {
        sleep(LOOK_EVERY).await;
    }
    proxy.disarm();
    proxy.cuts() > before
}

/// The database goes away, and a standby that has not seen the last commands takes its place.
async fn promote_standby(
    fleet: &mut Fleet,
    random: &mut Random,
    recorder: &Recorder,
) -> Result<bool> {
    let replication = Proxy::start(([127, 0, 0, 1], fleet.cluster.port()).into()).await?;
    let name = format!("standby-{}", random.next());
    let standby = fleet.cluster.create_standby(&name, replication.address().port()).await?;
    let give_up_at = Instant::now() + MOMENT_LIMIT;
    while !standby.is_receiving().await? && Instant::now() < give_up_at {
        sleep(LOOK_EVERY).await;
    }
    replication.behave(Behaviour { swallows_answers: true, ..Behaviour::default() });
    let before = recorder.load().acknowledged;
    while recorder.load().acknowledged < before + LOST_WRITES && Instant::now() < give_up_at {
        sleep(LOOK_EVERY).await;
    }
    let mut old = std::mem::replace(&mut fleet.cluster, standby);
    let head_before = stored_log::head(&old).await?;
    old.stop(Stop::Immediate).await?;
    fleet.cluster.promote().await.context("promotion")?;
    let kept = stored_log::head(&fleet.cluster).await?;
    fleet.lead_to_cluster();
    // Reads about the past shall not be about a past that is gone.
    recorder.forget_beyond(Place { epoch: u64::MAX, position: kept });
    old.destroy().await?;
    Ok(kept < head_before)
}

/// Undoes whatever is still bad.
pub fn heal(fleet: &Fleet) {
    for server in fleet.servers() {
        for proxy in server.proxies() {
            proxy.behave(Behaviour::default());
            proxy.disarm();
        }
    }
}
