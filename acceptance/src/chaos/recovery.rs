//! How long until everything works again: a write through every write server, a linearizable read
//! from every read server, and a write through the gateway.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::command_client::CommandClient;
use super::fleet::Fleet;
use super::query_client::QueryClient;
use super::recorder::Recorder;
use super::writers::Writer;
use crate::Random;
use crate::checkers::history::{Action, Command, Line, Read, Selection, Wish};

/// How long recovery may take before it counts as none.
pub const RECOVERY_LIMIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The clients that probe have numbers of their own.
const FIRST_PROCESS: u32 = 100;

/// Waits until everything works; tells how long that took.
pub async fn recovered(fleet: &Fleet, recorder: &Arc<Recorder>, cycle: u64) -> Result<Duration> {
    let begun = Instant::now();
    let mut probes = JoinSet::new();
    let mut process = FIRST_PROCESS;
    for server in fleet.commands.iter().chain([&fleet.gateway]) {
        let address = server.edge.address();
        let is_gateway = server.name == fleet.gateway.name;
        let client =
            if is_gateway { CommandClient::rest(address) } else { CommandClient::grpc(address) };
        probes.spawn(write(process, cycle, client?, Arc::clone(recorder)));
        process += 1;
    }
    for server in &fleet.queries {
        let client = QueryClient::new(&server.name, server.edge.address())?;
        probes.spawn(read(process, client, Arc::clone(recorder)));
        process += 1;
    }
    timeout(RECOVERY_LIMIT, probes.join_all()).await.context("no recovery")?;
    Ok(begun.elapsed())
}

async fn write(process: u32, cycle: u64, client: CommandClient, recorder: Arc<Recorder>) {
    let random = Random::new(cycle ^ u64::from(process));
    let (_never, stop) = watch::channel(false);
    let mut writer = Writer::new(process, random, vec![client], recorder, stop);
    let command = Command {
        key: format!("default/probe/{process}"),
        expected_version: None,
        action: Action::Set(format!("probe {process} {cycle}")),
    };
    let request_id = format!("probe-{process}-{cycle}");
    while !writer.is_acknowledged(&request_id, std::slice::from_ref(&command)).await {
        sleep(LOOK_EVERY).await;
    }
}

async fn read(process: u32, mut client: QueryClient, recorder: Arc<Recorder>) {
    let selection = Selection::Key("default/hot/0".to_owned());
    loop {
        let invoked_us = recorder.now_us();
        if let Ok(answer) = client.read(&selection, Wish::Linearizable, None).await {
            recorder.note(Line::Read(Read {
                process,
                server: client.server.clone(),
                selection,
                wish: Wish::Linearizable,
                at: None,
                in_session: false,
                invoked_us,
                returned_us: recorder.now_us(),
                answer: Some(answer),
                failure: String::new(),
            }));
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}
