//! Puts the system under test together: which program with which settings, and which ways between
//! them.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;

use super::cluster::Cluster;
use super::false_clock::FalseClock;
use super::fleet::{Fleet, Server, Upstreams};
use super::ports::free_port;
use super::proxy::Proxy;
use crate::Binary;

/// Snapshots often enough for a server that is killed to find one that is being written.
const SNAPSHOT_EVENTS: &str = "200";

/// What a scenario wants around its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    /// A proxy on every way.
    Proxies,
    /// A proxy on every way, and clocks that can be set.
    FalseClocks,
    /// A proxy on every way, and servers that can be made to fail from inside.
    Failpoints,
    /// No proxy between the servers and the database, and snapshots as seldom as in earnest: what
    /// is measured is the servers.
    Bare,
}

/// Everything in front of a database, ready to be started.
pub async fn assemble(
    folder: &Path,
    cluster: Cluster,
    surroundings: Surroundings,
) -> Result<Fleet> {
    std::fs::create_dir_all(folder)?;
    let parts = Parts { folder, cluster: &cluster, surroundings };
    let (mut commands, mut queries) = (Vec::new(), Vec::new());
    for number in 1..=2 {
        commands.push(parts.command_server(number).await?);
        queries.push(parts.query_server(number).await?);
    }
    let gateway = parts.gateway(&commands[0], &queries[0]).await?;
    Ok(Fleet { cluster, commands, queries, gateway })
}

/// What servers are put together from.
struct Parts<'a> {
    folder: &'a Path,
    cluster: &'a Cluster,
    surroundings: Surroundings,
}

impl Parts<'_> {
    async fn command_server(&self, number: u32) -> Result<Server> {
        let database = local_proxy(self.cluster.port()).await?;
        let binary = match self.surroundings {
            Surroundings::Failpoints => Binary::FailingCommandService,
            _ => Binary::CommandService,
        };
        let mut server = self.server(format!("command-{number}"), binary).await?;
        server.settings.extend([
            ("CONFIGAPI_STORE", self.store(&database)),
            ("CONFIGAPI_COMMAND_ADDR", server.address.to_string()),
        ]);
        Ok(Server { database: Some(database), ..server })
    }

    async fn query_server(&self, number: u32) -> Result<Server> {
        let database = local_proxy(self.cluster.port()).await?;
        let binary = match self.surroundings {
            Surroundings::Failpoints => Binary::FailingQueryService,
            _ => Binary::QueryService,
        };
        let mut server = self.server(format!("query-{number}"), binary).await?;
        server.settings.extend([
            ("CONFIGAPI_STORE", self.store(&database)),
            ("CONFIGAPI_QUERY_ADDR", server.address.to_string()),
            ("CONFIGAPI_SNAPSHOT_DIR", self.folder.join(&server.name).display().to_string()),
        ]);
        if self.surroundings != Surroundings::Bare {
            server.settings.push(("CONFIGAPI_SNAPSHOT_EVENTS", SNAPSHOT_EVENTS.to_owned()));
        }
        Ok(Server { database: Some(database), ..server })
    }

    async fn gateway(&self, command: &Server, query: &Server) -> Result<Server> {
        let (command, query) = (command.address.port(), query.address.port());
        let upstreams =
            Upstreams { command: local_proxy(command).await?, query: local_proxy(query).await? };
        let mut server = self.server("gateway".to_owned(), Binary::Gateway).await?;
        server.settings.extend([
            ("CONFIGAPI_GATEWAY_ADDR", server.address.to_string()),
            ("CONFIGAPI_COMMAND_URL", format!("http://{}", upstreams.command.address())),
            ("CONFIGAPI_QUERY_URL", format!("http://{}", upstreams.query.address())),
        ]);
        Ok(Server { upstreams: Some(upstreams), ..server })
    }

    async fn server(&self, name: String, binary: Binary) -> Result<Server> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let edge = Proxy::start(address).await?;
        let (mut settings, mut clock) = (Vec::new(), None);
        if self.surroundings == Surroundings::FalseClocks {
            let own = FalseClock::create(self.folder, &name)?;
            settings.extend(own.settings());
            clock = Some(own);
        }
        Ok(Server {
            name,
            address,
            edge,
            database: None,
            upstreams: None,
            clock,
            binary,
            settings,
            folder: self.folder.to_owned(),
            starts: 0,
            process: None,
        })
    }

    fn store(&self, database: &Proxy) -> String {
        Cluster::url(match self.surroundings {
            Surroundings::Bare => self.cluster.port(),
            Surroundings::Proxies | Surroundings::FalseClocks | Surroundings::Failpoints => {
                database.address().port()
            }
        })
    }
}

/// A proxy in front of a port of this machine.
async fn local_proxy(port: u16) -> Result<Proxy> {
    Ok(Proxy::start(SocketAddr::from(([127, 0, 0, 1], port))).await?)
}
