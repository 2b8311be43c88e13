//! The system under test: a database, two write servers, two read servers and a gateway, each a
//! process of its own, with a proxy on every way between them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::cluster::Cluster;
use super::ports::free_port;
use super::proxy::Proxy;
use crate::{Binary, Process};

/// How long a server that was asked to end may take.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A server of the house and the ways to and from it.
#[derive(Debug)]
pub struct Server {
    /// What it is called in histories and reports.
    pub name: String,
    /// Where clients reach it.
    pub edge: Proxy,
    /// How it reaches the database; none for the gateway.
    pub database: Option<Proxy>,
    binary: Binary,
    settings: Vec<(&'static str, String)>,
    folder: PathBuf,
    starts: u32,
    process: Option<Process>,
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

    fn stat(&self, file: &str) -> Option<String> {
        let id = self.process.as_ref()?.running_id()?;
        std::fs::read_to_string(format!("/proc/{id}/{file}")).ok()
    }

    /// Whether there is a process.
    pub fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.running_id().is_some())
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
    pub async fn start(folder: &Path, cluster: Cluster) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut commands = Vec::new();
        let mut queries = Vec::new();
        for number in 1..=2 {
            commands.push(command_server(&cluster, folder, number).await?);
            queries.push(query_server(&cluster, folder, number).await?);
        }
        let gateway = gateway(folder, &commands[0], &queries[0]).await?;
        let mut fleet = Self { cluster, commands, queries, gateway };
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

async fn command_server(cluster: &Cluster, folder: &Path, number: u32) -> Result<Server> {
    let name = format!("command-{number}");
    let (address, edge, database) = ways(cluster).await?;
    let settings = vec![
        ("CONFIGAPI_STORE", Cluster::url(database.address().port())),
        ("CONFIGAPI_COMMAND_ADDR", address),
    ];
    Ok(server(name, Binary::CommandService, settings, folder, edge, Some(database)))
}

async fn query_server(cluster: &Cluster, folder: &Path, number: u32) -> Result<Server> {
    // Snapshots often enough for a server that is killed to find one that is being written.
    const SNAPSHOT_EVENTS: &str = "200";
    let name = format!("query-{number}");
    let (address, edge, database) = ways(cluster).await?;
    let settings = vec![
        ("CONFIGAPI_STORE", Cluster::url(database.address().port())),
        ("CONFIGAPI_QUERY_ADDR", address),
        ("CONFIGAPI_SNAPSHOT_DIR", folder.join(&name).display().to_string()),
        ("CONFIGAPI_SNAPSHOT_EVENTS", SNAPSHOT_EVENTS.to_owned()),
    ];
    Ok(server(name, Binary::QueryService, settings, folder, edge, Some(database)))
}

async fn gateway(folder: &Path, command: &Server, query: &Server) -> Result<Server> {
    let port = free_port()?;
    let edge = Proxy::start(([127, 0, 0, 1], port).into()).await?;
    let settings = vec![
        ("CONFIGAPI_GATEWAY_ADDR", format!("127.0.0.1:{port}")),
        ("CONFIGAPI_COMMAND_URL", format!("http://{}", command.edge.address())),
        ("CONFIGAPI_QUERY_URL", format!("http://{}", query.edge.address())),
    ];
    Ok(server("gateway".to_owned(), Binary::Gateway, settings, folder, edge, None))
}

/// An address for a server, the way to it, and its way to the database.
async fn ways(cluster: &Cluster) -> Result<(String, Proxy, Proxy)> {
    let port = free_port()?;
    let edge = Proxy::start(([127, 0, 0, 1], port).into()).await?;
    let database = Proxy::start(([127, 0, 0, 1], cluster.port()).into()).await?;
    Ok((format!("127.0.0.1:{port}"), edge, database))
}

fn server(
    name: String,
    binary: Binary,
    settings: Vec<(&'static str, String)>,
    folder: &Path,
    edge: Proxy,
    database: Option<Proxy>,
) -> Server {
    let folder = folder.to_owned();
    Server { name, edge, database, binary, settings, folder, starts: 0, process: None }
}
