//! The load generator of the benchmarks, run as a program of its own: it costs little, so that a
//! machine can offer more than its servers can take.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::fleet::Server;
use crate::{Binary, path_of};

/// Under this name all configs are that the load writes to.
pub const KEYS: &str = "default/bench/";
/// As small as its values can be: what is measured is commands.
const VALUE_BYTES: &str = "16";
const CONFIGS: &str = "10000";
/// How long a load may take beyond its window.
const END_LIMIT: Duration = Duration::from_secs(20);

/// How much to ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Offer {
    /// As much as is answered: 256 commands are under way at any time.
    Closed,
    /// So many commands a second, whether or not they are answered.
    PerSecond(f64),
}

/// What came of it, as the load generator prints it.
#[derive(Debug, Clone, Deserialize)]
pub struct Outcome {
    /// Commands acknowledged at all.
    #[serde(rename = "operations_with_warm_up")]
    pub acknowledged: u64,
    /// The same per second.
    pub per_second: f64,
    /// Commands that failed.
    pub errors: u64,
    /// How many of them were answered with which gRPC status, or failed how instead.
    pub failures: BTreeMap<String, u64>,
    /// Commands that were sent and not answered.
    pub unfinished: u64,
    /// How long acknowledged commands took from when they were due.
    pub latency_us: Latency,
    /// How long answers with an error took.
    pub refusal_latency_us: Option<Latency>,
}

/// Some latencies of many, in microseconds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50: f64,
    /// 99 of a hundred took no longer.
    pub p99: f64,
}

impl Outcome {
    /// How many commands were answered with a gRPC status.
    pub fn answered_with(&self, code: tonic::Code) -> u64 {
        self.failures.get(&i32::from(code).to_string()).copied().unwrap_or_default()
    }
}

/// Offers sets to a write server for so long, not through its proxy.
pub async fn offer(
    command: &Server,
    query: &Server,
    offer: Offer,
    time: Duration,
) -> Result<Outcome> {
    let address = |server: &Server| server.address.to_string();
    let mut load = Command::new(path_of(Binary::Bench));
    load.args(["load", "set", "--value-bytes", VALUE_BYTES, "--keys", CONFIGS]);
    load.args(["--command-addr", &address(command), "--query-addr", &address(query)]);
    load.args(["--warm-up", "0s", "--window", &format!("{}ms", time.as_millis())]);
    match offer {
        Offer::Closed => load.args(["--connections", "8", "--in-flight", "32"]),
        // More than a server has in work at once: nobody waits in the client for a place.
        Offer::PerSecond(rate) => {
            load.args(["--connections", "8", "--in-flight", "900", "--rate", &format!("{rate:.0}")])
        }
    };
    load.stdin(Stdio::null()).kill_on_drop(true);
    let output =
        timeout(time + END_LIMIT, load.output()).await.context("the load does not end")??;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the load generator failed: {told}");
    Ok(serde_json::from_slice(&output.stdout)?)
}
