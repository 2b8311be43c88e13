//! What the figures depend on, written down beside them.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Options, rested::RestedCore};

/// How often the disk is asked to prove that it is one.
const SYNCS: usize = 64;

/// The machine, the programs and their settings. What could not be found out is "unknown".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Conditions {
    pub cpu: String,
    pub cores: usize,
    pub memory: String,
    pub kernel: String,
    pub commit: String,
    pub rustc: String,
    pub postgres: String,
    pub postgres_settings: String,
    pub sqlite_settings: String,
    pub etcd: String,
    pub etcd_settings: String,
    /// The median time that writing 4 KiB and `fdatasync` took where the stores are.
    pub fdatasync_us: f64,
    /// Older results do not say.
    #[serde(default)]
    pub core: RestedCore,
    pub load_average_before: String,
    pub load_average_after: String,
}

impl Conditions {
    /// Looks at the machine.
    pub(super) fn find_out(options: &Options, directory: &Path) -> Self {
        Self {
            cpu: line_of("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory: line_of("/proc/meminfo", "MemTotal").unwrap_or_else(unknown),
            kernel: said_by("uname", &["-sr"]),
            commit: commit(),
            rustc: said_by("rustc", &["--version"]),
            postgres: postgres(&["--version"]),
            postgres_settings: postgres_settings(),
            sqlite_settings: "WAL, synchronous=FULL (the server's own default)".to_owned(),
            etcd: options
                .etcd
                .as_ref()
                .map_or_else(unknown, |etcd| said_by(&etcd.display().to_string(), &["--version"])),
            etcd_settings: "one member, defaults, fsync on, quota 8 GiB".to_owned(),
            fdatasync_us: median_sync(directory).map_or(0.0, |time| time.as_secs_f64() * 1e6),
            core: RestedCore::find_out(),
            load_average_before: load_average(),
            load_average_after: String::new(),
        }
    }
}

/// How busy the machine has been: over 1, 5 and 15 minutes.
pub(super) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Whether somebody else has been using half a core or more in the last minute.
pub(super) fn is_busy() -> bool {
    let load = load_average();
    load.split(' ')
        .next()
        .and_then(|first| first.parse::<f64>().ok())
        .is_some_and(|load| load >= 0.5)
}

/// Waits until the machine is quiet: filling a store leaves checkpoints, a vacuum and snapshots to be
/// done, which are not what is measured next.
pub(super) async fn settle() {
    let give_up_at = Instant::now() + SETTLE_MAX;
    while Instant::now() < give_up_at {
        let before = CoreTimes::now();
        tokio::time::sleep(SETTLE_LOOK).await;
        if CoreTimes::now().idle_since(&before) >= QUIET {
            return;
        }
    }
}

/// How long is waited for the machine to be quiet, and how long each look takes.
const SETTLE_MAX: Duration = Duration::from_secs(20);
const SETTLE_LOOK: Duration = Duration::from_secs(1);
/// Which part of its time a quiet machine does nothing.
const QUIET: f64 = 0.9;

/// What the cores have done since they were started.
struct CoreTimes {
    idle: f64,
    all: f64,
}

impl CoreTimes {
    fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        // user, nice, system, idle, iowait, …
        let times: Vec<f64> =
            line.split_whitespace().skip(1).filter_map(|time| time.parse().ok()).collect();
        let idle = times.get(3).copied().unwrap_or_default();
        Self { idle, all: times.iter().sum() }
    }

    /// The part of the time since then in which nothing was done or waited for.
    fn idle_since(&self, before: &Self) -> f64 {
        (self.idle - before.idle) / (self.all - before.all).max(1.0)
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The first line that a program prints, without what only a machine wants to know.
fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let text = String::from_utf8(text.unwrap_or_default()).unwrap_or_default();
    text.lines().next().map_or_else(unknown, str::to_owned)
}

fn line_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn commit() -> String {
    let commit = said_by("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = Command::new("git").args(["diff", "--quiet", "HEAD"]).status();
    match changed.ok().and_then(|status| status.code()) {
        Some(1) => format!("{commit} with changes"),
        _ => commit,
    }
}

/// Asks the server program of the throw-away cluster.
fn postgres(arguments: &[&str]) -> String {
    match std::env::var("CONFIGAPI_TEST_PG_BIN") {
        Ok(directory) => said_by(&format!("{directory}/postgres"), arguments),
        Err(_unset) => unknown(),
    }
}

fn postgres_settings() -> String {
    let data = std::env::var("CONFIGAPI_TEST_PG_DATA").unwrap_or_default();
    let names = [
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "shared_buffers",
        "wal_level",
        "min_wal_size",
        "max_wal_size",
    ];
    let settings = names.map(|name| format!("{name}={}", postgres(&["-C", name, "-D", &data])));
    settings.join(", ")
}

fn median_sync(directory: &Path) -> std::io::Result<Duration> {
    let path = directory.join("sync-probe");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
}
