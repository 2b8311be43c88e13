//! The command line of the benchmarks. Results go to stdout, one line of JSON each; everything else
//! goes to stderr.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use configapi_runtime::settings;
use tokio::{net::TcpListener, runtime::Builder};

use crate::{
    echo,
    keys::{DEPTHS, GROUP},
    load,
    load::Spec,
    report, suite,
    workload::{self, Fill, Target, Workload},
};

/// Benchmarks of ConfigApi
#[derive(Debug, Parser)]
#[command(name = "configapi-bench", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole suite and write its results
    Run(suite::Options),
    /// Make one load on a server that runs already, and print what came of it as a line of JSON
    Load(LoadArguments),
    /// Fill a store with what the workloads read
    Seed {
        #[command(flatten)]
        target: TargetArguments,
        /// How many configs
        #[arg(long, default_value_t = 100_000)]
        keys: u64,
        /// How large their values are
        #[arg(long, default_value_t = 128, value_name = "BYTES")]
        value_bytes: usize,
    },
    /// Serve answers of the real size from memory: the ceiling
    Echo {
        /// Where to listen for gRPC
        #[arg(long, default_value = "127.0.0.1:50050", value_name = "HOST:PORT")]
        grpc_addr: SocketAddr,
        /// Where to listen for REST
        #[arg(long, default_value = "127.0.0.1:4050", value_name = "HOST:PORT")]
        rest_addr: SocketAddr,
        /// How large the values are
        #[arg(long, default_value_t = 128, value_name = "BYTES")]
        value_bytes: usize,
    },
    /// Write the table and the plot of a results file anew
    Report {
        /// The results, a file that `run` has written
        results: PathBuf,
    },
}

/// Whom to ask.
#[derive(Debug, Args)]
struct TargetArguments {
    /// The command server's gRPC address
    #[arg(long = "command-addr", value_name = "HOST:PORT", default_value = "127.0.0.1:50051")]
    command: SocketAddr,
    /// The query server's gRPC address
    #[arg(long = "query-addr", value_name = "HOST:PORT", default_value = "127.0.0.1:50052")]
    query: SocketAddr,
    /// Ask etcd at this address instead
    #[arg(long = "etcd-addr", value_name = "HOST:PORT")]
    etcd: Option<SocketAddr>,
    /// Ask the REST gateway at this address instead
    #[arg(long = "rest-addr", value_name = "HOST:PORT", conflicts_with = "etcd")]
    rest: Option<SocketAddr>,
}

impl TargetArguments {
    fn target(&self) -> Target {
        match (self.etcd, self.rest) {
            (Some(etcd), _) => Target::Etcd(etcd),
            (None, Some(rest)) => Target::Rest(rest),
            (None, None) => Target::Configapi { command: self.command, query: self.query },
        }
    }
}

#[derive(Debug, Args)]
struct LoadArguments {
    /// What to ask for
    #[arg(value_enum)]
    workload: Workload,
    #[command(flatten)]
    target: TargetArguments,
    /// How many connections
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// How many requests in flight on each connection
    #[arg(long, default_value_t = 32)]
    in_flight: usize,
    /// On how many threads; one for every two cores by default
    #[arg(long)]
    threads: Option<usize>,
    /// Open loop: so many requests are due each second, whether or not the server keeps up
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// How long to go on before measuring
    #[arg(long, default_value = "500ms", value_parser = settings::duration)]
    warm_up: Duration,
    /// How long to measure
    #[arg(long, default_value = "2s", value_parser = settings::duration)]
    window: Duration,
    /// How many times
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Which round the first of them is: each round meets other configs
    #[arg(long, default_value_t = 0)]
    round: u64,
    /// How many configs there are
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    /// How large the values are that are written
    #[arg(long, default_value_t = 128, value_name = "BYTES")]
    value_bytes: usize,
    /// How many watchers there are, for the fan-out
    #[arg(long, default_value_t = 1_000)]
    watchers: usize,
}

/// Does what the arguments say; a failure is one line on stderr and a failing exit code.
pub fn run(arguments: &Arguments) -> ExitCode {
    match perform(&arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("configapi-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn perform(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Run(options) => {
            Builder::new_current_thread().enable_all().build()?.block_on(suite::run(options))
        }
        Command::Load(arguments) => make_load(arguments),
        Command::Seed { target, keys, value_bytes } => {
            let (keys, value_bytes) = (0..*keys, *value_bytes);
            let fill = Fill { keys, histories: true, depths: DEPTHS, value_bytes };
            let seeding = workload::seed(target.target(), fill);
            Builder::new_current_thread().enable_all().build()?.block_on(seeding)
        }
        Command::Echo { grpc_addr, rest_addr, value_bytes } => {
            let runtime = Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(async {
                let grpc = TcpListener::bind(grpc_addr).await.context("no gRPC listener")?;
                let rest = TcpListener::bind(rest_addr).await.context("no REST listener")?;
                echo::serve(grpc, rest, *value_bytes).await
            })
        }
        Command::Report { results } => report::rewrite(results),
    }
}

fn make_load(arguments: &LoadArguments) -> anyhow::Result<()> {
    if arguments.connections == 0 || arguments.in_flight == 0 || arguments.keys < GROUP {
        bail!("a load needs a connection, a request in flight, and {GROUP} configs at least");
    }
    let ordinary = Spec::new(arguments.workload, arguments.target.target());
    let mut spec = Spec {
        round: arguments.round,
        connections: arguments.connections,
        in_flight: arguments.in_flight,
        threads: arguments.threads.unwrap_or(ordinary.threads),
        rate_per_second: arguments.rate.filter(|rate| *rate > 0.0),
        warm_up: arguments.warm_up,
        window: arguments.window,
        keys: arguments.keys,
        value_bytes: arguments.value_bytes,
        watchers: arguments.watchers,
        ..ordinary
    };
    for _ in 0..arguments.runs {
        let outcome = load::run(&spec)?;
        writeln!(io::stdout(), "{}", serde_json::to_string(&outcome)?)?;
        spec.round = spec.round.wrapping_add(1);
    }
    Ok(())
}

/// A line for whoever looks on.
pub(crate) fn say(line: &str) {
    // Nothing can be done about a closed stderr.
    let _ = writeln!(io::stderr(), "{line}");
}
