//! How a process of ours runs and ends: one runtime of several threads, made and ended here.

use std::{
    error::Error,
    future::Future,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use crate::{listen::CannotListen, settings, shutdown::Lifecycle, telemetry, trace};

/// How long blocking work that nobody waits for may go on after all else has ended: a snapshot that is
/// being read or written, say. What it leaves unfinished, the next start throws away.
const BLOCKING_LIMIT: Duration = Duration::from_secs(1);

/// As many files as a server takes with all the connections that it lets be open, and plenty beside them.
#[cfg(target_os = "linux")]
const MAX_FILES: u64 = 65_536;

/// Runs this to its end. Blocking work that does not end is left behind with the process.
pub fn run<T>(main: impl Future<Output = T>) -> io::Result<T> {
    take_files();
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(main);
    runtime.shutdown_timeout(BLOCKING_LIMIT);
    Ok(outcome)
}

/// Lets this process have as many files open as it may. What most begin with (`ulimit -Sn`, 1,024) is for
/// programs that cannot cope with more, and a server comes to it long before the limits of its own.
#[cfg(target_os = "linux")]
fn take_files() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let Some((current, maximum)) = file_limits() else { return };
    let wanted = maximum.min(MAX_FILES);
    if current < wanted {
        // Where that is forbidden, it goes on with what it has, and says so when there are no more.
        let limit = Rlimit { current: Some(wanted), maximum: Some(maximum) };
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// How many files this process may have open, and how many it may ask for. To read that is forbidden nowhere,
/// unlike the call of the system that tells it.
#[cfg(target_os = "linux")]
fn file_limits() -> Option<(u64, u64)> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut numbers = line.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(not(target_os = "linux"))]
fn take_files() {}

/// The rest of a server's life after its start, or why it did not start; what the process ends with. What
/// the start made is closed when all else has ended.
pub async fn live<T>(
    life: Lifecycle,
    started: Result<T, Box<dyn Error + Send + Sync>>,
    close: impl AsyncFnOnce(T),
) -> ExitCode {
    let made = match started {
        Ok(made) => made,
        Err(error) => return cannot_start(&*error),
    };
    let exit = life.finish().await;
    close(made).await;
    trace::finish().await;
    exit.into()
}

/// Says why a server does not start, and what the process ends with: an address where it cannot listen is
/// a wrong setting; whatever else it is may be right the next time.
pub fn cannot_start(error: &(dyn Error + 'static)) -> ExitCode {
    if let Some(error) = error.downcast_ref::<CannotListen>() {
        return settings::wrong(&error.to_string());
    }
    tracing::error!(error = %telemetry::chain(error), "the server cannot start");
    // Whatever is not to be logged: a process that ends at once says why.
    if !tracing::enabled!(tracing::Level::ERROR) {
        // Nothing can be done about a closed stderr; the exit code still tells.
        let _ = writeln!(io::stderr(), "the server cannot start: {}", telemetry::chain(error));
    }
    ExitCode::FAILURE
}
