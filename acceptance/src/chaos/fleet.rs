//! The system under test: a database, two write servers, two read servers and a gateway, each a
//! process of its own, with a proxy on every way between them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;

use super::assembly::{Surroundings, assemble};
use super::cluster::Cluster;
use super::false_clock::FalseClock;
use super::proxy::Proxy;
use crate::{Binary, Process};

/// How long a server that was asked to end may take.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A server of the house and the ways to and from it.
#[derive(Debug)]
pub struct Server {
    /// What it is called in histories and reports.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where clients reach it, through a proxy.
    pub edge: Proxy,
    /// How it reaches the database; none for the gateway.
    pub database: Option<Proxy>,
    /// How the gateway reaches a write server and a read server.
    pub upstreams: Option<Upstreams>,
    /// What it takes for the time, if that can be changed.
    pub clock: Option<FalseClock>,
    pub(super) binary: Binary,
    pub(super) settings: Vec<(&'static str, String)>,
    pub(super) folder: PathBuf,
    pub(super) starts: u32,
    pub(super) process: Option<Process>,
}

impl Server {
    fn start(&mut self) {
        self.starts += 1;
        let log = self.folder.join(format!("{}-{}.log", self.name, self.starts));
        self.process = Some(Process::start(self.binary, &[], &self.settings, log));
    }

    /// Ends it as a power cut would, and starts it again. Tells whether it was running.
    pub async fn kill_and_start(&mut self) -> bool {
        let was_running = self.is_running();
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
        self.start();
        was_running
    }

    /// Lets it end as operators do, and starts it again. Tells whether it ended well.
    pub async fn restart(&mut self) -> bool {
        let mut ended_well = false;
        if let Some(mut process) = self.process.take() {
            process.terminate().await;
            ended_well = process.wait(STOP_LIMIT).await == Some(0);
        }
        self.start();
        ended_well
    }

    /// Waits until it ends by itself; none if it does not in time.
    pub async fn end(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.process.as_mut()?.end(limit).await
    }

    /// What one of its settings will be when it is started next.
    pub fn set(&mut self, setting: &'static str, value: Option<String>) {
        self.settings.retain(|(name, _)| *name != setting);
        self.settings.extend(value.map(|value| (setting, value)));
    }

    /// Stops it in the middle of whatever it does, or lets it go on.
    pub async fn freeze(&self, is_frozen: bool) -> bool {
        let Some(process) = &self.process else { return false };
        process.signal(if is_frozen { "STOP" } else { "CONT" }).await;
        self.is_running()
    }

    /// Whether it is stopped in the middle of whatever it does.
    pub fn is_frozen(&self) -> bool {
        let state = self.stat("stat").and_then(|text| Some(text.rsplit_once(") ")?.1.to_owned()));
        state.is_some_and(|state| state.starts_with('T'))
    }

    /// What it has written to its log since it was started last.
    pub fn said(&self) -> String {
        self.process.as_ref().map(Process::said).unwrap_or_default()
    }

    fn stat(&self, file: &str) -> Option<String> {
        let id = self.process.as_ref()?.running_id()?;
        std::fs::read_to_string(format!("/proc/{id}/{file}")).ok()
    }

    /// Whether there is a process.
    pub fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.running_id().is_some())
    }

    /// All ways to and from it.
    pub fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        let upstreams = self.upstreams.iter().flat_map(|it| [&it.command, &it.query]);
        std::iter::once(&self.edge).chain(&self.database).chain(upstreams)
    }

    /// How much memory it holds.
    pub fn memory_bytes(&self) -> u64 {
        let pages = self.stat("statm").and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
        pages.unwrap_or_default() * 4096
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        let id = self.process.as_ref().and_then(Process::running_id);
        let folder = id.and_then(|id| std::fs::read_dir(format!("/proc/{id}/fd")).ok());
        folder.map_or(0, Iterator::count)
    }
}

/// The gateway's ways to the others.
#[derive(Debug)]
pub struct Upstreams {
    /// To a write server.
    pub command: Proxy,
    /// To a read server.
    pub query: Proxy,
}

/// All of it. It ends with its owner.
#[derive(Debug)]
pub struct Fleet {
    /// The database.
    pub cluster: Cluster,
    /// The write servers.
    pub commands: Vec<Server>,
    /// The read servers.
    pub queries: Vec<Server>,
    /// The gateway.
    pub gateway: Server,
}

impl Fleet {
    /// Starts everything in front of a database. Logs and snapshots go to `folder`.
    pub async fn start(
        folder: &Path,
        cluster: Cluster,
        surroundings: Surroundings,
    ) -> Result<Self> {
        let mut fleet = assemble(folder, cluster, surroundings).await?;
        for server in fleet.servers_mut() {
            server.start();
        }
        Ok(fleet)
    }

    /// Sends everybody to where the database is now.
    pub fn lead_to_cluster(&self) {
        for proxy in self.servers().filter_map(|server| server.database.as_ref()) {
            proxy.lead_to(([127, 0, 0, 1], self.cluster.port()).into());
            proxy.reset();
        }
    }

    /// All servers of the house.
    pub fn servers_mut(&mut self) -> impl Iterator<Item = &mut Server> {
        self.commands.iter_mut().chain(&mut self.queries).chain(std::iter::once(&mut self.gateway))
    }

    /// All servers of the house.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.commands.iter().chain(&self.queries).chain(std::iter::once(&self.gateway))
    }
}
