//! What is told when connections cannot be accepted: seldom, for as long as they cannot.

use std::{io, time::Duration};

use tokio::time::Instant;

/// How often it is told that connections cannot be accepted, for as long as they cannot.
const COMPLAINT_EVERY: Duration = Duration::from_mins(1);
/// What the system says if this process has no descriptor left.
const TOO_MANY_FILES: i32 = 24;

/// What is told of connections that cannot be accepted. They are tried for again and again.
pub(super) struct Complaints {
    told_at: Option<Instant>,
    untold: u64,
    /// How many files this process may have open, if that is known. Asked for in time: to ask takes one.
    max_files: Option<u64>,
}

impl Complaints {
    pub fn new() -> Self {
        Self { told_at: None, untold: 0, max_files: max_files() }
    }

    pub fn hear(&mut self, error: &io::Error) {
        self.untold += 1;
        if self.told_at.is_some_and(|at| at.elapsed() < COMPLAINT_EVERY) {
            return;
        }
        self.told_at = Some(Instant::now());
        let tries = std::mem::take(&mut self.untold);
        let is_full = error.raw_os_error() == Some(TOO_MANY_FILES);
        if let Some(max_files) = self.max_files.filter(|_| is_full) {
            tracing::warn!(
                %error, tries, max_files,
                "connections cannot be accepted; each takes a file, and this process may have so many \
                 (ulimit -n, LimitNOFILE)"
            );
        } else {
            tracing::warn!(%error, tries, "connections cannot be accepted");
        }
    }
}

/// How many files this process may have open, where the system tells.
fn max_files() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
