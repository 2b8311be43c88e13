//! A server under measurement: started, waited for, stopped. Must never outlive the suite.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::keys::Dice;

const READY_LIMIT: Duration = Duration::from_mins(2);
const STOP_LIMIT: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How many lines of a server's log are shown when it fails.
const SHOWN_LINES: usize = 15;

/// A running server.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    started: Instant,
}

impl Process {
    /// Starts a program whose output goes to a file of the directory.
    pub fn start<'a>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: impl IntoIterator<Item = (&'a str, String)>,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let started = Instant::now();
        let child = tied_to_us(program)
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        Ok(Self { name: name.to_owned(), child, log, started })
    }

    /// Its number, unless it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the probe says yes; returns how long that was from the start of the process.
    pub async fn ready(
        &mut self,
        mut probe: impl AsyncFnMut() -> bool,
    ) -> anyhow::Result<Duration> {
        loop {
            let asked = timeout(READY_LIMIT, probe()).await;
            if asked == Ok(true) {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} instead of serving{}", self.name, self.log_tail());
            }
            if self.started.elapsed() > READY_LIMIT {
                bail!("{} is not ready after {READY_LIMIT:?}{}", self.name, self.log_tail());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Asks it to end, and makes it if it does not.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(id) = self.id() {
            Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        }
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            self.child.kill().await?;
            bail!("{} had to be killed{}", self.name, self.log_tail());
        }
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        if tail.is_empty() { String::new() } else { format!(":\n  {}", tail.join("\n  ")) }
    }
}

/// A command that the kernel ends when we do, however that comes about, where there is a tool for it.
fn tied_to_us(program: &Path) -> Command {
    const SETPRIV: &str = "/usr/bin/setpriv";
    if Path::new(SETPRIV).exists() {
        let mut command = Command::new(SETPRIV);
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// Ports that were free a moment ago, below those that the kernel gives to outgoing connections.
pub(super) fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    const FIRST: u64 = 20_000;
    const COUNT: u64 = 12_000;
    const ATTEMPTS: u32 = 1_000;
    let now = jiff::Timestamp::now().as_nanosecond().unsigned_abs();
    let mut dice =
        Dice::new(u64::try_from(now % u128::from(u64::MAX))? + u64::from(std::process::id()));
    let mut found = Vec::with_capacity(N);
    for _ in 0..ATTEMPTS {
        let port = u16::try_from(FIRST + dice.below(COUNT))?;
        // Held until all are found, so that none is found twice.
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            found.push(listener);
        }
        if found.len() == N {
            break;
        }
    }
    let addresses: Vec<_> = found.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    addresses.try_into().map_err(|_too_few| anyhow::anyhow!("no free ports"))
}
