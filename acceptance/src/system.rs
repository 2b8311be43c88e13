//! Whole systems: everything in one process, or the three servers side by side.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::wait::eventually;
use crate::{Binary, Process, Rest};

const ANY_PORT: &str = "127.0.0.1:0";

/// `configapi serve`, with its addresses.
#[derive(Debug)]
pub struct AllInOne {
    /// The running program.
    pub process: Process,
    /// Where it takes commands.
    pub command: SocketAddr,
    /// Where it answers questions.
    pub query: SocketAddr,
    /// Where it speaks REST.
    pub gateway: SocketAddr,
}

impl AllInOne {
    /// Starts it on a store and waits until it is well. Its log goes to `folder`.
    pub async fn start(store: &str, folder: &Path) -> Self {
        let settings = [
            ("CONFIGAPI_STORE", store.to_owned()),
            ("CONFIGAPI_COMMAND_ADDR", ANY_PORT.to_owned()),
            ("CONFIGAPI_QUERY_ADDR", ANY_PORT.to_owned()),
            ("CONFIGAPI_GATEWAY_ADDR", ANY_PORT.to_owned()),
        ];
        let process = Process::start(Binary::ConfigApi, &["serve"], &settings, log_in(folder));
        let command = process.address_of("command").await;
        let query = process.address_of("query").await;
        let gateway = process.address_of("gateway").await;
        let system = Self { process, command, query, gateway };
        healthy(&system.rest()).await;
        system
    }

    /// A REST client.
    pub fn rest(&self) -> Rest {
        Rest::new(self.gateway)
    }
}

/// The three servers, each in a process of its own.
#[derive(Debug)]
pub struct Servers {
    /// The write server.
    pub command: Process,
    /// The read server.
    pub query: Process,
    /// The gateway.
    pub gateway: Process,
    /// Where commands are taken.
    pub command_address: SocketAddr,
    /// Where questions are answered.
    pub query_address: SocketAddr,
    /// Where REST is spoken.
    pub gateway_address: SocketAddr,
}

impl Servers {
    /// Starts them on one store and waits until they are well. Their logs go to `folder`.
    pub async fn start(store: &str, folder: &Path) -> Self {
        let setting = |name, value: &str| (name, value.to_owned());
        let command = Process::start(
            Binary::CommandService,
            &[],
            &[setting("CONFIGAPI_STORE", store), setting("CONFIGAPI_COMMAND_ADDR", ANY_PORT)],
            log_in(folder),
        );
        let query = Process::start(
            Binary::QueryService,
            &[],
            &[setting("CONFIGAPI_STORE", store), setting("CONFIGAPI_QUERY_ADDR", ANY_PORT)],
            log_in(folder),
        );
        let command_address = command.address_of("command").await;
        let query_address = query.address_of("query").await;
        let gateway = Process::start(
            Binary::Gateway,
            &[],
            &[
                setting("CONFIGAPI_GATEWAY_ADDR", ANY_PORT),
                setting("CONFIGAPI_COMMAND_URL", &format!("http://{command_address}")),
                setting("CONFIGAPI_QUERY_URL", &format!("http://{query_address}")),
            ],
            log_in(folder),
        );
        let gateway_address = gateway.address_of("gateway").await;
        let servers =
            Self { command, query, gateway, command_address, query_address, gateway_address };
        healthy(&servers.rest()).await;
        servers
    }

    /// A REST client.
    pub fn rest(&self) -> Rest {
        Rest::new(self.gateway_address)
    }
}

/// Waits until the gateway says that everything behind it is well.
async fn healthy(rest: &Rest) {
    eventually("the system to be healthy", || async {
        rest.get("/v1/health").await.filter(|(status, _)| status.is_success())
    })
    .await;
}

/// A log file of its own for each program.
fn log_in(folder: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    folder.join(format!("{}.log", NEXT.fetch_add(1, Ordering::Relaxed)))
}
