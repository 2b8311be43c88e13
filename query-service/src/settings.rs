//! What the read server is told when it starts: its own flags and variables, with their defaults.
//! Which store it reads is for whoever starts it to say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use configapi_runtime::listen::ListenAddress;
use configapi_runtime::settings::{number, some_duration};

use crate::limits::Limits;

const DEFAULT_SNAPSHOT_EVENTS: u64 = 100_000;
const DEFAULT_SNAPSHOT_INTERVAL: Duration = Duration::from_mins(10);
const DEFAULT_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_052);

/// What errors call the setting of where it listens.
pub const QUERY_ADDR: &str = "--query-addr (CONFIGAPI_QUERY_ADDR)";

/// The settings of the read server. Flatten them into the settings of a process.
#[derive(Debug, Clone, clap::Args)]
pub struct QuerySettings {
    /// Where the query server listens for gRPC
    #[arg(
        long,
        env = "CONFIGAPI_QUERY_ADDR",
        value_name = "HOST:PORT",
        default_value_t = DEFAULT_ADDR.into()
    )]
    pub query_addr: ListenAddress,

    /// The directory of local snapshots, which make a start fast; each server needs one of its own
    /// (default: none are kept)
    #[arg(long, env = "CONFIGAPI_SNAPSHOT_DIR", value_name = "DIRECTORY")]
    pub snapshot_dir: Option<PathBuf>,

    /// After how many events a snapshot is written
    #[arg(
        long,
        env = "CONFIGAPI_SNAPSHOT_EVENTS",
        value_name = "NUMBER",
        default_value_t = DEFAULT_SNAPSHOT_EVENTS
    )]
    pub snapshot_events: u64,

    /// After how long a snapshot is written if there was any event
    #[arg(
        long,
        env = "CONFIGAPI_SNAPSHOT_INTERVAL",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = some_duration
    )]
    pub snapshot_interval: Duration,

    /// How many watches may be open at once
    #[arg(
        long,
        env = "CONFIGAPI_QUERY_MAX_WATCHERS",
        value_name = "NUMBER",
        default_value_t = Limits::default().watchers,
        value_parser = number
    )]
    pub query_max_watchers: usize,

    /// Limits that are not for operators to set.
    #[arg(skip)]
    pub limits: Limits,
}

impl Default for QuerySettings {
    fn default() -> Self {
        Self {
            query_addr: DEFAULT_ADDR.into(),
            snapshot_dir: None,
            snapshot_events: DEFAULT_SNAPSHOT_EVENTS,
            snapshot_interval: DEFAULT_SNAPSHOT_INTERVAL,
            query_max_watchers: Limits::default().watchers,
            limits: Limits::default(),
        }
    }
}
