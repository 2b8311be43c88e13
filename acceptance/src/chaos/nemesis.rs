//! Does what scenarios say, and tells whether it took effect: a fault that struck nothing proves
//! nothing.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

use super::cluster::Stop;
use super::fleet::{Fleet, Server};
use super::power::cut_power;
use super::proxy::{Behaviour, CommitCut, Proxy};
use super::recorder::Recorder;
use super::scenario::{Fault, Harm, Role, Way};
use super::stored_log;
use crate::Random;
use crate::checkers::history::Place;

/// How long a fault waits for its moment.
const MOMENT_LIMIT: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// The longest delay of a slow network, and how little goes through a thin one.
const SLOW: Duration = Duration::from_millis(60);
const THIN_BYTES_PER_SECOND: u64 = 40_000;
/// How many commands are acknowledged that the standby has not seen.
const LOST_WRITES: u64 = 20;

/// The ways that can be bad.
const WAYS: [Way; 5] = [
    Way::Edge(Role::Command),
    Way::Edge(Role::Query),
    Way::Edge(Role::Gateway),
    Way::Database(Role::Command),
    Way::Database(Role::Query),
];
const HARMS: [Harm; 6] = [
    Harm::Delay,
    Harm::Throttle,
    Harm::SwallowRequests,
    Harm::SwallowAnswers,
    Harm::SwallowBoth,
    Harm::Refuse,
];

/// Strikes once. Tells whether it took effect.
pub async fn strike(
    fault: Fault,
    fleet: &mut Fleet,
    random: &mut Random,
    recorder: &Recorder,
) -> Result<bool> {
    Ok(match fault {
        Fault::Kill(role) => one_of(fleet, role, random).kill_and_start().await,
        Fault::Restart(role) => one_of(fleet, role, random).restart().await,
        Fault::Freeze(role, time) => freeze(one_of(fleet, role, random), time).await,
        Fault::Database(how) => {
            let was_running = fleet.cluster.stop(how).await?;
            fleet.cluster.start().await?;
            was_running
        }
        Fault::TerminateSessions { times, every } => {
            let mut ended = 0;
            for _ in 0..times {
                ended += fleet.cluster.terminate_sessions().await?;
                sleep(every).await;
            }
            ended > 0
        }
        Fault::CutCommit => cut_commit(fleet, random).await,
        Fault::CutAnswer => cut_answer(fleet, random).await,
        Fault::Network(time) => {
            let (way, harm) = (WAYS[random.index(WAYS.len())], HARMS[random.index(HARMS.len())]);
            network(fleet, way, harm, time, random).await
        }
        Fault::CutPower | Fault::CutPowerUnsynced => cut_power(fleet, random, recorder).await?,
        Fault::PromoteStandby => promote_standby(fleet, random, recorder).await?,
    })
}

fn one_of<'a>(fleet: &'a mut Fleet, role: Role, random: &mut Random) -> &'a mut Server {
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

async fn network(
    fleet: &mut Fleet,
    way: Way,
    harm: Harm,
    time: Duration,
    random: &mut Random,
) -> bool {
    let proxy = match way {
        Way::Edge(role) => &one_of(fleet, role, random).edge,
        Way::Database(role) => match &one_of(fleet, role, random).database {
            Some(proxy) => proxy,
            None => return false,
        },
    };
    let (passed, refused) = (proxy.pieces_held_back(), proxy.refusals());
    let swallow = |swallows_requests, swallows_answers| Behaviour {
        swallows_requests,
        swallows_answers,
        ..Behaviour::default()
    };
    proxy.behave(match harm {
        Harm::Delay => Behaviour { delay: SLOW, ..Behaviour::default() },
        Harm::Throttle => {
            Behaviour { bytes_per_second: THIN_BYTES_PER_SECOND, ..Behaviour::default() }
        }
        Harm::SwallowRequests => swallow(true, false),
        Harm::SwallowAnswers => swallow(false, true),
        Harm::SwallowBoth => swallow(true, true),
        Harm::Refuse => Behaviour { refuses: true, ..Behaviour::default() },
    });
    if harm == Harm::Refuse {
        proxy.reset();
    }
    sleep(time).await;
    proxy.behave(Behaviour::default());
    proxy.pieces_held_back() > passed || proxy.refusals() > refused
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
        for proxy in [Some(&server.edge), server.database.as_ref()].into_iter().flatten() {
            proxy.behave(Behaviour::default());
            proxy.disarm();
        }
    }
}
