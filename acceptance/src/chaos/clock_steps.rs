//! A wall clock that is an hour off, in either direction, from one moment to the next.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

use super::fleet::Server;
use super::nemesis::Blow;
use super::recorder::Recorder;
use super::scenario::Role;

const HOUR_MS: i64 = 3_600_000;
/// How long a write server may take to notice, and how long it is asked again.
const NOTICE_LIMIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const REFUSALS: u64 = 5;
/// What the log of a write server says about its clock.
const TOLD: &str = "the clock of this server is";

/// Sets the clock of a server an hour forward, or else back, and right again after a while.
pub async fn step_clock(
    server: &Server,
    role: Role,
    is_forward: bool,
    time: Duration,
    recorder: &Recorder,
) -> Result<Blow> {
    let clock = server.clock.as_ref().context("the clock of this server cannot be set")?;
    let (said_before, refused_before) =
        (server.said().matches(TOLD).count(), recorder.failed_with("UNAVAILABLE"));
    let answered_before = recorder.load().answered;
    clock.set(if is_forward { HOUR_MS } else { -HOUR_MS })?;
    let mut wrong = Vec::new();
    let stepped = Instant::now();
    if role == Role::Command {
        let has_noticed = || {
            recorder.failed_with("UNAVAILABLE") >= refused_before + REFUSALS
                && server.said().matches(TOLD).count() > said_before
        };
        while !has_noticed() && stepped.elapsed() < NOTICE_LIMIT {
            sleep(LOOK_EVERY).await;
        }
        if !has_noticed() {
            wrong.push(format!("{} took commands with a wrong clock", server.name));
        }
    }
    sleep(time.saturating_sub(stepped.elapsed())).await;
    if recorder.load().answered == answered_before {
        wrong.push("no read was answered while a clock was wrong".to_owned());
    }
    clock.set(0)?;
    let kind = if is_forward { "an hour forward" } else { "an hour back" };
    Ok(Blow { took_effect: server.is_running(), kind: Some(kind.to_owned()), wrong })
}
