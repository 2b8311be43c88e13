//! How a process ends: not ready any more, then drained within a limit, then cut off; and what it ends
//! with. Cancellation tokens for its stages and one task tracker; nothing long-lived runs
//! outside of them.

use std::{
    error::Error,
    future::Future,
    io,
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::Duration,
};

use clap::Args;
use futures_util::FutureExt as _;
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{settings, telemetry::chain};

/// How long work in flight may take to finish after the first signal, unless said otherwise.
pub const DEFAULT_DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// What whoever looks after a process sends to end it.
const TERMINATION: &str = "SIGTERM";

/// How long tasks that were cut off may take to fall over.
const ABORT_LIMIT: Duration = Duration::from_secs(1);

/// How a server ends.
#[derive(Debug, Clone, Args)]
pub struct StopSettings {
    /// How long a server that gets a SIGTERM serves on, not ready any more, before it stops
    #[arg(
        long,
        env = "CONFIGAPI_STOP_DELAY",
        value_name = "DURATION",
        default_value = "0s",
        value_parser = settings::duration
    )]
    pub stop_delay: Duration,
}

impl StopSettings {
    /// A life that ends so.
    pub fn life(&self) -> Lifecycle {
        Lifecycle::lasting(DEFAULT_DRAIN_LIMIT, self.stop_delay)
    }
}

/// What a process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to stop, and all work in flight was finished: 0.
    Clean,
    /// It was asked to stop, and work in flight was cut off: 1.
    CutOff,
    /// A task that the process cannot be without died: 70.
    Died,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Clean => Self::SUCCESS,
            Exit::CutOff => Self::FAILURE,
            Exit::Died => Self::from(70),
        }
    }
}

/// The life of a process, shared by everything that runs in it. Clones are the same life.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    leaving: CancellationToken,
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    stop_delay: Duration,
    drain_limit: Duration,
    died: OnceLock<&'static str>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new(DEFAULT_DRAIN_LIMIT)
    }
}

impl Lifecycle {
    /// A life that, once asked to end, ends within `drain_limit`.
    pub fn new(drain_limit: Duration) -> Self {
        Self::lasting(drain_limit, Duration::ZERO)
    }

    fn lasting(drain_limit: Duration, stop_delay: Duration) -> Self {
        let hard = CancellationToken::new();
        let soft = hard.child_token();
        let leaving = soft.child_token();
        let (tasks, died) = (TaskTracker::new(), OnceLock::new());
        Self {
            inner: Arc::new(Inner { leaving, soft, hard, tasks, stop_delay, drain_limit, died }),
        }
    }

    /// Cancelled when nobody shall choose the process any more: it says that it is not ready, and serves
    /// those who come all the same.
    pub fn leaving(&self) -> &CancellationToken {
        &self.inner.leaving
    }

    /// Cancelled when the process shall end: take nothing new, end streams, finish what was begun.
    pub fn soft(&self) -> &CancellationToken {
        &self.inner.soft
    }

    /// Cancelled when there is no more time: drop everything.
    pub fn hard(&self) -> &CancellationToken {
        &self.inner.hard
    }

    /// How long work in flight may take to finish once the end has begun.
    pub fn drain_limit(&self) -> Duration {
        self.inner.drain_limit
    }

    /// Says from now on that the process is not ready; all else goes on.
    pub fn begin_leaving(&self, why: &'static str) {
        if !self.inner.leaving.is_cancelled() {
            let stop_delay_ms = millis(self.inner.stop_delay);
            tracing::info!(
                why,
                stop_delay_ms,
                "not ready any more; serving on until the delay is over"
            );
            self.inner.leaving.cancel();
        }
    }

    /// Begins the end; a second call changes nothing.
    pub fn begin_shutdown(&self, why: &'static str) {
        if !self.inner.soft.is_cancelled() {
            let drain_limit_ms = millis(self.inner.drain_limit);
            tracing::info!(why, drain_limit_ms, "shutting down");
            self.inner.soft.cancel();
        }
    }

    /// Ends at once, whatever is in flight.
    pub fn abort(&self, why: &'static str) {
        if !self.inner.hard.is_cancelled() {
            tracing::warn!(why, "cutting off what is in flight");
            self.inner.hard.cancel();
        }
    }

    /// The first SIGTERM, SIGINT or SIGHUP begins the end, the second cuts off what is still in flight. With
    /// a delay, SIGTERM begins that, and the next signal the end.
    pub fn watch_signals(&self) -> io::Result<()> {
        let mut signals = Signals::new()?;
        let life = self.clone();
        tokio::spawn(async move {
            let mut first = signals.next().await;
            if first == TERMINATION && !life.inner.stop_delay.is_zero() {
                life.begin_leaving(first);
                tokio::select! {
                    () = life.soft().cancelled() => {}
                    () = sleep(life.inner.stop_delay) => {}
                    again = signals.next() => first = again,
                }
            }
            life.begin_shutdown(first);
            let second = signals.next().await;
            life.abort(second);
        });
        Ok(())
    }

    /// Runs a task that is waited for at the end, and dropped when there is no more time.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let hard = self.inner.hard.clone();
        self.inner.tasks.spawn(async move {
            hard.run_until_cancelled_owned(task).await;
        });
    }

    /// Runs a task that the process cannot be without: if it panics, fails, or returns before it
    /// was asked to, the process ends with a failing exit code.
    pub fn spawn_critical<E>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let life = self.clone();
        self.spawn(async move {
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) if life.inner.soft.is_cancelled() => return,
                Ok(Ok(())) => tracing::error!(task = name, "a critical task ended unasked"),
                Ok(Err(error)) => {
                    let error = error.into();
                    tracing::error!(task = name, error = %chain(&*error), "a critical task failed");
                }
                Err(_panic) => tracing::error!(task = name, "a critical task panicked"),
            }
            // Only the first death is told by the exit; later ones are its consequences.
            let _ = life.inner.died.set(name);
            life.begin_shutdown("a critical task died");
        });
    }

    /// Waits until the end is asked for, drains, and says what the process shall end with.
    pub async fn finish(self) -> Exit {
        let Inner { soft, hard, tasks, drain_limit, died, .. } = &*self.inner;
        soft.cancelled().await;
        tasks.close();
        let drained = hard.run_until_cancelled(timeout(*drain_limit, tasks.wait())).await;
        // Tasks that were cut off have ended too, but not by themselves.
        let clean = matches!(drained, Some(Ok(()))) && !hard.is_cancelled();
        if !clean {
            self.abort("the drain limit is over");
            if timeout(ABORT_LIMIT, tasks.wait()).await.is_err() {
                tracing::error!(tasks = tasks.len(), "some tasks do not end");
            }
        }
        let exit = match (died.get(), clean) {
            (Some(_), _) => Exit::Died,
            (None, true) => Exit::Clean,
            (None, false) => Exit::CutOff,
        };
        tracing::info!(?exit, "ended");
        exit
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    /// None if it is to be ignored.
    hang_up: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: (!is_ignored(SignalKind::hangup()))
                .then(|| signal(SignalKind::hangup()))
                .transpose()?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => TERMINATION,
            _ = self.interrupt.recv() => "SIGINT",
            () = arrival(&mut self.hang_up) => "SIGHUP",
        }
    }
}

#[cfg(unix)]
async fn arrival(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether whoever started us ignores a signal, as `nohup` does when a terminal is closed: it is to stay
/// so. Where nothing tells, that is not known to be otherwise.
#[cfg(unix)]
fn is_ignored(kind: tokio::signal::unix::SignalKind) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return true };
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_none_or(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "the same shape as on unix")]
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
