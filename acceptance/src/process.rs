//! One running program: its log is kept, and it never outlives the test.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::wait::eventually;
use crate::{Binary, path_of};

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program with these arguments and settings. All other `CONFIGAPI_…` variables are
    /// kept from it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[expect(clippy::expect_used, reason = "a program that does not start is a failed test")]
    pub fn start(
        binary: Binary,
        arguments: &[&str],
        settings: &[(&str, String)],
        log: PathBuf,
    ) -> Self {
        let stderr = File::options().create(true).append(true).open(&log);
        let stderr = stderr.expect("the log file can be written");
        let stdout = stderr.try_clone().expect("a file can be shared");
        let mut command = Command::new(path_of(binary));
        command.args(arguments).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CONFIGAPI_")) {
            command.env_remove(name);
        }
        command.env("CONFIGAPI_LOG_FORMAT", "json").envs(settings.iter().cloned());
        let child = command.kill_on_drop(true).spawn().expect("the program starts");
        Self { child, log }
    }

    /// What the program has said so far, on both of its outputs.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The address that one of the program's servers listens on, once it says so.
    pub async fn address_of(&self, server: &str) -> SocketAddr {
        let marker = format!("\"server\":\"{server}\"");
        eventually(&format!("the {server} server to listen"), || async {
            let said = self.said();
            let line = said
                .lines()
                .rev()
                .find(|line| line.contains("listening") && line.contains(&marker))?;
            let address = line.split("\"address\":\"").nth(1)?.split('"').next()?;
            address.parse().ok()
        })
        .await
    }

    /// Its process id.
    ///
    /// # Panics
    /// If it has ended.
    #[expect(clippy::expect_used, reason = "asked of running programs only")]
    pub fn id(&self) -> u32 {
        self.child.id().expect("the program is running")
    }

    /// Its process id, unless it has been seen to end.
    pub fn running_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks it to end, as an operator would.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends it a signal.
    pub async fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let _ = Command::new("kill").args([&format!("-{name}"), &id]).status().await;
    }

    /// Ends it as a power cut would.
    pub async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }

    /// Waits for its end; none if it does not end in time.
    pub async fn end(&mut self, limit: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(limit, self.child.wait()).await.ok()?.ok()
    }

    /// Waits for its end and tells its exit code; none if a signal ended it.
    ///
    /// # Panics
    /// If it does not end in time.
    #[expect(clippy::expect_used, reason = "a program that does not end is a failed test")]
    pub async fn wait(&mut self, limit: Duration) -> Option<i32> {
        let status = tokio::time::timeout(limit, self.child.wait()).await;
        status.expect("the program ends in time").expect("a child can be waited for").code()
    }
}
