//! More than a write server can take, for a while: it has to refuse at once what it does not take
//! on, keep its memory, lose nothing that it acknowledged, and be as before when the load falls.
//! How fast all that is depends on the machine and is told; the rest is judged.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;
use tonic::Code;

use super::cluster::Cluster;
use super::fleet::{Fleet, Server};
use super::load::{KEYS, Latency, Offer, Outcome, offer};
use super::recorder::Recorder;
use super::recovery::recovered;
use super::report::Report;
use super::run::{Clients, Plan, Workload, check_bounds, judge, start};
use super::stored_log;

/// How many times as much as a server can take it is offered.
const FACTORS: [f64; 2] = [2.0, 5.0];
/// More than a server takes on at once, however slow its machine is.
const LEAST_PER_SECOND: f64 = 2_000.0;
/// Which part of the peak is no load to speak of.
const LIGHT: f64 = 0.1;
/// How long the peak and the light load are measured, and one look whether all is as before.
const MEASURE: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_secs(1);
/// How long after an overload service may take to be as before.
const NORMAL_LIMIT: Duration = Duration::from_secs(10);
/// How much more memory a server may hold after an overload; a read server more, because it keeps
/// every event.
const MEMORY_SLACK_BYTES: u64 = 128 << 20;
const MEMORY_PER_EVENT_BYTES: u64 = 2_048;
const DESCRIPTORS_SLACK: usize = 64;
/// A few clients go on as ever, and all that they see is judged.
const CLIENTS: Clients = Clients { writers: 2, readers: 2, watchers: 1..3 };

/// What a server does when it is asked for little, and the most that it can do.
#[derive(Debug, Clone, Copy)]
struct Normal {
    peak_per_second: f64,
    light: Latency,
}

/// Overloads a write server twice, each time for so long.
pub async fn check(plan: &Plan, time: Duration, report: &mut Report) -> Result<()> {
    let (fleet, recorder) = start(plan, Cluster::create(plan.scenario.name).await?).await?;
    let (command, query) = (&fleet.commands[0], &fleet.queries[0]);
    let peak = offer(command, query, Offer::Closed, MEASURE).await?;
    let rate = Offer::PerSecond(peak.per_second * LIGHT);
    let light = offer(command, query, rate, MEASURE).await?;
    let normal = Normal { peak_per_second: peak.per_second, light: light.latency_us };
    report.notes.push(format!(
        "peak {:.0}/s; at a tenth of it p99 {:.1} ms",
        peak.per_second,
        light.latency_us.p99 / 1e3
    ));
    let mut loads = vec![peak, light];
    let workload = Workload::start(&fleet, &recorder, plan.seed, &CLIENTS)?;
    for factor in FACTORS.into_iter().cycle().take(usize::try_from(plan.cycles)?) {
        let before: Vec<_> = fleet.servers().map(Held::by).collect();
        let rate = Offer::PerSecond((normal.peak_per_second * factor).max(LEAST_PER_SECOND));
        let (begun, written_before) = (Instant::now(), written(&fleet.cluster).await?);
        let outcome = offer(command, query, rate, time).await?;
        let events = written(&fleet.cluster).await? - written_before;
        // By the log: a slow client may hear of what was committed after it stopped counting.
        let goodput = Goodput { events, took: begun.elapsed() };
        judge_refusals(&outcome, report);
        let growth = judge_growth(&fleet, &before, events, report);
        report.notes.push(format!("{}, {growth}", told(factor, goodput, &outcome, normal)));
        report.effective += u32::from(outcome.errors > 0);
        loads.push(outcome);
        loads.extend(back_to_normal(&fleet, &recorder, normal, report).await?);
    }
    if report.effective < report.cycles {
        report.void = Some("nothing was refused, so it was no overload".to_owned());
    }
    workload.end(&fleet, report).await?;
    check_bounds(&fleet, report);
    nothing_lost(&fleet.cluster, &loads, report).await?;
    judge(plan, fleet, &recorder, Some(KEYS), report).await
}

/// Nobody is refused for any other reason than that it was too much, or that no time was left.
fn judge_refusals(outcome: &Outcome, report: &mut Report) {
    let codes = [Code::ResourceExhausted, Code::DeadlineExceeded];
    let for_the_load: u64 = codes.into_iter().map(|code| outcome.answered_with(code)).sum();
    report.expect(for_the_load == outcome.errors, || {
        format!("commands failed for other reasons than the load: {:?}", outcome.failures)
    });
    report.expect(outcome.acknowledged > 0, || "nothing was acknowledged at all".to_owned());
}

/// What was committed, and in which time.
#[derive(Debug, Clone, Copy)]
struct Goodput {
    events: u64,
    took: Duration,
}

impl Goodput {
    #[expect(clippy::cast_precision_loss, reason = "no run has so many events")]
    fn per_second(self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }
}

/// How many events the load has left so far.
async fn written(cluster: &Cluster) -> Result<u64> {
    stored_log::count_under(cluster, KEYS).await
}

/// What a server holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    memory_bytes: u64,
    descriptors: usize,
}

impl Held {
    fn by(server: &Server) -> Self {
        Self { memory_bytes: server.memory_bytes(), descriptors: server.descriptors() }
    }
}

fn judge_growth(fleet: &Fleet, before: &[Held], events: u64, report: &mut Report) -> String {
    let mut told = Vec::new();
    for (server, before) in fleet.servers().zip(before) {
        let after = Held::by(server);
        let keeps_events = fleet.queries.iter().any(|query| query.name == server.name);
        let kept = if keeps_events { events * MEMORY_PER_EVENT_BYTES } else { 0 };
        let grown = after.memory_bytes.saturating_sub(before.memory_bytes);
        report.expect(grown <= MEMORY_SLACK_BYTES + kept, || {
            format!("{} grew by {grown} bytes for {events} events", server.name)
        });
        report.expect(after.descriptors <= before.descriptors + DESCRIPTORS_SLACK, || {
            format!("{} has {} descriptors open", server.name, after.descriptors)
        });
        told.push(format!("{} +{} MiB", server.name, grown >> 20));
    }
    told.join(" ")
}

/// The figures beside what is wanted of them.
fn told(factor: f64, goodput: Goodput, outcome: &Outcome, normal: Normal) -> String {
    let (wanted, time) = (if factor > FACTORS[0] { 80 } else { 90 }, goodput.took);
    let goodput = 100.0 * goodput.per_second() / normal.peak_per_second;
    let ratio = outcome.latency_us.p99 / normal.light.p99;
    let refused = outcome.refusal_latency_us.map_or_else(String::new, |it| {
        format!("refused in {:.1} ms, p99 {:.1} (wanted 10)", it.p50 / 1e3, it.p99 / 1e3)
    });
    format!(
        "{factor}x for {time:.1?}: goodput {goodput:.0} % of the peak (wanted {wanted}), {refused}, \
         acknowledged p99 {:.1} ms, {ratio:.1} times that of a light load (wanted 5)",
        outcome.latency_us.p99 / 1e3
    )
}

/// Waits until a light load passes without a refusal; tells what the looks came to.
async fn back_to_normal(
    fleet: &Fleet,
    recorder: &Arc<Recorder>,
    normal: Normal,
    report: &mut Report,
) -> Result<Vec<Outcome>> {
    let (begun, mut looks) = (Instant::now(), Vec::new());
    let rate = Offer::PerSecond(normal.peak_per_second * LIGHT);
    let first = loop {
        let took = begun.elapsed();
        let look = offer(&fleet.commands[0], &fleet.queries[0], rate, LOOK).await?;
        let is_normal = look.errors == 0 && look.unfinished == 0;
        let p99 = look.latency_us.p99 / 1e3;
        looks.push(look);
        if is_normal {
            let when =
                if looks.len() == 1 { "at once".into() } else { format!("after {took:.1?}") };
            report.notes.push(format!("a light load passed {when}, p99 {p99:.1} ms"));
            break took;
        }
        if took > NORMAL_LIMIT {
            report.other.push(format!("commands were still refused after {took:?}"));
            break took;
        }
    };
    let all = recovered(fleet, recorder, looks.len() as u64).await;
    report.expect(all.is_ok(), || "no recovery after an overload".to_owned());
    report.recoveries.push(first + all.unwrap_or_default());
    Ok(looks)
}

/// What the load generator was told against what is there: it keeps no list of its commands, so
/// they are counted.
async fn nothing_lost(cluster: &Cluster, loads: &[Outcome], report: &mut Report) -> Result<()> {
    let acknowledged: u64 = loads.iter().map(|load| load.acknowledged).sum();
    let unknown: u64 =
        loads.iter().map(|load| load.unfinished + load.answered_with(Code::Unavailable)).sum();
    let written = written(cluster).await?;
    report.notes.push(format!("{acknowledged} acknowledged, {written} in the log"));
    let most = acknowledged + unknown;
    report.expect((acknowledged..=most).contains(&written), || {
        format!("{acknowledged} to {most} events should be there, {written} are")
    });
    Ok(())
}
