//! Those who are measured: how each is started, asked whether it is ready, and stopped. What is not
//! there is skipped, and said so.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::{
    Options, plan,
    process::{Process, free_addresses},
};
use crate::{
    wire::{Channel, Method},
    workload::{Target, Workload},
};

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The echo server: the ceiling.
    Echo,
    /// The command server and the query server on `PostgreSQL`.
    Postgres,
    /// The same with few configs, in a cluster of its own, beside one with very many.
    PostgresFew,
    /// `configapi serve` on `SQLite`.
    Sqlite,
    /// etcd: the peer.
    Etcd,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Echo, Self::Postgres, Self::PostgresFew, Self::Sqlite, Self::Etcd];
    /// Those who run from beginning to end.
    pub const PERMANENT: [Self; 4] = [Self::Echo, Self::Postgres, Self::Sqlite, Self::Etcd];

    /// What it is called in reports.
    pub fn title(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Postgres => "ConfigApi on PostgreSQL",
            Self::PostgresFew => "ConfigApi on PostgreSQL, small",
            Self::Sqlite => "ConfigApi on SQLite",
            Self::Etcd => "etcd",
        }
    }
}

/// Where a subject's processes come from.
#[derive(Debug)]
pub(super) struct Sources {
    pub directory: PathBuf,
    pub programs: PathBuf,
    pub database_url: Option<String>,
    pub second_database_url: Option<String>,
    pub etcd: Option<PathBuf>,
    pub value_bytes: usize,
}

impl Sources {
    pub fn new(options: &Options, directory: PathBuf) -> anyhow::Result<Self> {
        let us = std::env::current_exe()?;
        let programs = us.parent().context("no directory of programs")?.to_owned();
        Ok(Self {
            directory,
            programs,
            database_url: options.database_url.clone(),
            second_database_url: options.second_database_url.clone(),
            etcd: options.etcd.clone(),
            value_bytes: options.value_bytes,
        })
    }

    fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let program = self.programs.join(name);
        if !program.exists() {
            bail!("the program {name} has not been built");
        }
        Ok(program)
    }
}

/// A subject that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub subject: Subject,
    pub processes: Vec<Process>,
    target: Target,
    rest: Option<SocketAddr>,
}

impl Running {
    /// Starts a subject and waits until it is ready.
    pub async fn start(subject: Subject, sources: &Sources) -> anyhow::Result<Self> {
        match subject {
            Subject::Echo => echo(sources).await,
            Subject::Postgres => {
                let url = sources.database_url.as_deref();
                postgres(subject, url.context("no database was given (DATABASE_URL)")?, sources)
                    .await
            }
            Subject::PostgresFew => {
                let url = sources.second_database_url.as_deref();
                let missing = "no second database was given (CONFIGAPI_BENCH_SECOND_DATABASE_URL)";
                postgres(subject, url.context(missing)?, sources).await
            }
            Subject::Sqlite => sqlite(sources).await,
            Subject::Etcd => etcd(sources).await,
        }
    }

    /// Whom to ask for this.
    pub fn target(&self, workload: Workload) -> anyhow::Result<Target> {
        match workload {
            Workload::RestGet | Workload::RestPut => {
                self.rest.map(Target::Rest).context("there is no REST here")
            }
            _ => Ok(self.target),
        }
    }

    /// How many configs it holds, when those that grow hold so many.
    pub fn keys(&self, keys: u64) -> u64 {
        if self.subject == Subject::PostgresFew { keys.min(plan::FEW_KEYS) } else { keys }
    }

    /// Stops all its processes; says what went wrong with the first that did not stop as it should.
    pub async fn stop(self) -> anyhow::Result<()> {
        let mut result = Ok(());
        for process in self.processes {
            let stopped = process.stop().await;
            result = result.and(stopped);
        }
        result
    }
}

async fn echo(sources: &Sources) -> anyhow::Result<Running> {
    let [grpc, rest] = free_addresses()?;
    let us = sources.program("configapi-bench")?;
    let arguments = [
        "echo".to_owned(),
        format!("--grpc-addr={grpc}"),
        format!("--rest-addr={rest}"),
        format!("--value-bytes={}", sources.value_bytes),
    ];
    let mut process = Process::start("echo", &us, arguments, [], &sources.directory)?;
    process.ready(async || Channel::connect(grpc).await.is_ok()).await?;
    let target = Target::Configapi { command: grpc, query: grpc };
    Ok(Running { subject: Subject::Echo, processes: vec![process], target, rest: Some(rest) })
}

async fn etcd(sources: &Sources) -> anyhow::Result<Running> {
    let program = sources.etcd.as_ref().context("no etcd was given or could be fetched")?;
    let [client, peer] = free_addresses()?;
    let arguments = [
        format!("--data-dir={}", sources.directory.join("etcd").display()),
        format!("--listen-client-urls=http://{client}"),
        format!("--advertise-client-urls=http://{client}"),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--initial-advertise-peer-urls=http://{peer}"),
        format!("--initial-cluster=default=http://{peer}"),
        "--log-level=error".to_owned(),
        // The default of 2 GiB is soon full, and would end the benchmark with an alarm.
        "--quota-backend-bytes=8589934592".to_owned(),
    ];
    let mut process = Process::start("etcd", program, arguments, [], &sources.directory)?;
    let range = Method::new(client, "/etcdserverpb.KV/Range")?;
    process.ready(async || answers(client, &range, b"\x0a\x01a").await).await?;
    let (subject, target) = (Subject::Etcd, Target::Etcd(client));
    Ok(Running { subject, processes: vec![process], target, rest: None })
}

async fn postgres(subject: Subject, url: &str, sources: &Sources) -> anyhow::Result<Running> {
    let program = sources.program("configapi-command-service")?;
    sources.program(QUERY_SERVICE)?;
    let [command, admin, query] = free_addresses()?;
    let environment = [
        ("CONFIGAPI_STORE", url.to_owned()),
        ("CONFIGAPI_COMMAND_ADDR", command.to_string()),
        ("CONFIGAPI_ADMIN_ADDR", admin.to_string()),
        ("CONFIGAPI_LOG", "warn".to_owned()),
    ];
    let none: [&str; 0] = [];
    let mut server =
        Process::start("command-service", &program, none, environment, &sources.directory)?;
    server.ready(async || serves(command).await).await?;
    let (reader, _ready_after) = query_server(url, sources, query).await?;
    let (processes, target) = (vec![server, reader], Target::Configapi { command, query });
    Ok(Running { subject, processes, target, rest: None })
}

const QUERY_SERVICE: &str = "configapi-query-service";

/// Starts a query server on the log in `PostgreSQL`, without a snapshot to begin from; says how long
/// it took to be ready.
pub(super) async fn query_server(
    url: &str,
    sources: &Sources,
    address: SocketAddr,
) -> anyhow::Result<(Process, Duration)> {
    let [admin] = free_addresses()?;
    let snapshots = sources.directory.join(format!("snapshots-{}", admin.port()));
    let environment = [
        ("CONFIGAPI_STORE", url.to_owned()),
        ("CONFIGAPI_QUERY_ADDR", address.to_string()),
        ("CONFIGAPI_ADMIN_ADDR", admin.to_string()),
        ("CONFIGAPI_SNAPSHOT_DIR", snapshots.display().to_string()),
        ("CONFIGAPI_LOG", "warn".to_owned()),
    ];
    let program = sources.program(QUERY_SERVICE)?;
    let none: [&str; 0] = [];
    let mut process =
        Process::start("query-service", &program, none, environment, &sources.directory)?;
    let ready_after = process.ready(async || serves(address).await).await?;
    Ok((process, ready_after))
}

async fn sqlite(sources: &Sources) -> anyhow::Result<Running> {
    let program = sources.program("configapi")?;
    let [command, query, rest, admin] = free_addresses()?;
    let path = |name: &str| sources.directory.join(name).display().to_string();
    let environment = [
        ("CONFIGAPI_STORE", format!("sqlite:{}", path("configapi.db"))),
        ("CONFIGAPI_COMMAND_ADDR", command.to_string()),
        ("CONFIGAPI_QUERY_ADDR", query.to_string()),
        ("CONFIGAPI_GATEWAY_ADDR", rest.to_string()),
        ("CONFIGAPI_ADMIN_ADDR", admin.to_string()),
        ("CONFIGAPI_SNAPSHOT_DIR", path("snapshots")),
        ("CONFIGAPI_LOG", "warn".to_owned()),
    ];
    let mut process =
        Process::start("serve", &program, ["serve"], environment, &sources.directory)?;
    process.ready(async || serves(command).await && serves(query).await).await?;
    let target = Target::Configapi { command, query };
    Ok(Running { subject: Subject::Sqlite, processes: vec![process], target, rest: Some(rest) })
}

/// Whether gRPC health says SERVING.
async fn serves(server: SocketAddr) -> bool {
    let Ok(check) = Method::new(server, "/grpc.health.v1.Health/Check") else { return false };
    let Ok(mut channel) = Channel::connect(server).await else { return false };
    // An empty request asks for the server as a whole; field 1 of the answer being 1 is SERVING.
    let request = bytes::Bytes::from_static(&[0, 0, 0, 0, 0]);
    let answer: Result<Health, _> = channel.unary(&check, request).await;
    answer.is_ok_and(|health| health.status == 1)
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Health {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Whether it answers this (unframed, short) message at all.
async fn answers(server: SocketAddr, method: &Method, message: &[u8]) -> bool {
    let length = u8::try_from(message.len()).unwrap_or(u8::MAX);
    let framed = [&[0, 0, 0, 0, length], message].concat();
    match Channel::connect(server).await {
        Ok(mut channel) => channel.count(method, framed.into()).await.is_ok(),
        Err(_not_yet) => false,
    }
}
