//! A PostgreSQL cluster of the harness's own, durable as in production, that can be killed,
//! restarted and replaced by its standby. Its programs, and the user that runs them, come from
//! `scripts/with-postgres`.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Row, raw_sql};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::ports::free_port;
use super::power::Disk;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Where the data is on a disk of its own.
const DATA: &str = "data";

/// How a server is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// kill -9 of the first process; the others notice.
    Kill,
    /// All at once, without a checkpoint: what follows is a recovery.
    Immediate,
    /// Open transactions are rolled back, then a checkpoint.
    Fast,
}

/// The programs, and who runs them.
#[derive(Debug, Clone)]
struct Programs {
    folder: PathBuf,
    /// Where this user may write.
    workplace: PathBuf,
    user: Option<(u32, u32)>,
}

impl Programs {
    fn find() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
        let hint = "run it by `make chaos` or under `scripts/with-postgres --durable`";
        let folder = variable("CONFIGAPI_TEST_PG_BIN").context(hint)?;
        let data = PathBuf::from(variable("CONFIGAPI_TEST_PG_DATA").context(hint)?);
        let workplace = data.parent().context(hint)?.to_owned();
        let number = |name| variable(name).and_then(|text| text.parse().ok());
        let user = number("CONFIGAPI_TEST_PG_UID").zip(number("CONFIGAPI_TEST_PG_GID"));
        Ok(Self { folder: folder.into(), workplace, user })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.current_dir(&self.workplace).stdin(Stdio::null()).kill_on_drop(true);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    async fn initdb(&self, data: &Path) -> Result<()> {
        let data = data.display().to_string();
        let arguments = ["--pgdata", &data, "--username=postgres", "--encoding=UTF8"];
        let settings = ["--locale=C", "--auth=trust"];
        self.run("initdb", &[&arguments[..], &settings].concat()).await
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let output = self.command(program).args(arguments).output().await?;
        ensure!(
            output.status.success(),
            "{program} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// A running cluster. It ends with its owner.
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    data: PathBuf,
    port: u16,
    server: Child,
    storage: Storage,
    /// Goes last: the server writes to it.
    disk: Option<Disk>,
}

/// What a cluster does to keep what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// It waits until it is on the disk.
    Synced,
    /// It trusts that the power will not go: only to show that the harness would notice.
    NotSynced,
}

impl Cluster {
    /// Makes an empty cluster and starts it.
    pub async fn create(name: &str) -> Result<Self> {
        let programs = Programs::find()?;
        let data = programs.workplace.join(format!("chaos-{}-{name}", std::process::id()));
        programs.initdb(&data).await?;
        Self::start_on(programs, data, Storage::Synced, None).await
    }

    /// Makes an empty cluster on a disk of its own, whose power can be cut, and starts it.
    pub async fn create_on_disk(name: &str, storage: Storage) -> Result<Self> {
        let programs = Programs::find()?;
        let name = format!("disk-{}-{name}", std::process::id());
        let disk = Disk::create(&programs.workplace, &name)?;
        if let Some((user, group)) = programs.user {
            chown(disk.folder(), Some(user), Some(group))?;
        }
        programs.initdb(&disk.folder().join(DATA)).await?;
        Self::start_on_disk(disk, storage).await
    }

    /// Starts a cluster that is on a disk already.
    pub async fn start_on_disk(disk: Disk, storage: Storage) -> Result<Self> {
        let data = disk.folder().join(DATA);
        Self::start_on(Programs::find()?, data, storage, Some(disk)).await
    }

    async fn start_on(
        programs: Programs,
        data: PathBuf,
        storage: Storage,
        disk: Option<Disk>,
    ) -> Result<Self> {
        let port = free_port()?;
        let server = spawn(&programs, &data, port, storage)?;
        let mut cluster = Self { programs, data, port, server, storage, disk };
        cluster.wait_until_it_answers().await?;
        Ok(cluster)
    }

    /// Whether this machine can cut the power of a disk.
    pub fn can_cut_power() -> Result<bool> {
        Ok(Disk::is_possible(&Programs::find()?.workplace))
    }

    /// The disk that it is on, if that is its own.
    pub fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// What it does to keep what it was given.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// All of its processes, the first one first.
    pub fn processes(&self) -> Vec<String> {
        let Some(first) = self.server.id() else { return Vec::new() };
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().map(str::to_owned);
        std::iter::once(first.to_string()).chain(children).collect()
    }

    async fn signal_all(&self, signal: &str) -> Result<bool> {
        // Twice: the first process may have had another just before it was stopped.
        let mut was_sent = false;
        for _ in 0..2 {
            let processes = self.processes();
            let sent = Command::new("kill").arg(signal).args(&processes).output().await?;
            was_sent |= !processes.is_empty() && sent.status.success();
        }
        Ok(was_sent)
    }

    /// Stops all of its processes in the middle of whatever they do.
    pub async fn freeze(&self) -> Result<bool> {
        self.signal_all("-STOP").await
    }

    /// Ends all of its processes at once.
    pub async fn kill_all(&mut self) -> Result<()> {
        self.signal_all("-KILL").await?;
        timeout(STOP_LIMIT, self.server.wait()).await.context("the database does not stop")??;
        Ok(())
    }

    /// How often it gave up because it could not trust its own memory or disk any more.
    pub fn panics(&self) -> usize {
        let log = std::fs::read_to_string(log_of(&self.data)).unwrap_or_default();
        log.lines().filter(|line| line.contains("PANIC:")).count()
    }

    /// A file of the harness beside its data.
    pub fn beside(&self, ending: &str) -> PathBuf {
        self.data.with_extension(ending)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, through any port that leads to it.
    pub fn url(port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/postgres")
    }

    /// A connection straight to it.
    pub async fn connect(&self) -> Result<PgConnection> {
        let options: PgConnectOptions = Self::url(self.port).parse()?;
        let options = options.disable_statement_logging();
        let connecting = timeout(CONNECT_LIMIT, options.connect());
        Ok(connecting.await.context("the database does not answer")??)
    }

    /// Ends it. Tells whether it was running until then.
    pub async fn stop(&mut self, how: Stop) -> Result<bool> {
        let Some(id) = self.server.id() else { return Ok(false) };
        let signal = match how {
            Stop::Kill => "-KILL",
            Stop::Immediate => "-QUIT",
            Stop::Fast => "-INT",
        };
        let status = Command::new("kill").args([signal, &id.to_string()]).status().await?;
        let ended = timeout(STOP_LIMIT, self.server.wait()).await;
        ended.context("the database does not stop")??;
        Ok(status.success())
    }

    /// Starts it again and waits until it answers.
    pub async fn start(&mut self) -> Result<()> {
        self.server = spawn(&self.programs, &self.data, self.port, self.storage)?;
        self.wait_until_it_answers().await
    }

    /// Waits until it answers. If it ended, it is started again.
    pub async fn wait_until_it_answers(&mut self) -> Result<()> {
        let give_up_at = Instant::now() + START_LIMIT;
        while Instant::now() < give_up_at {
            // After a kill -9 it refuses to start until the last of its processes has noticed.
            if self.server.try_wait()?.is_some() {
                self.server = spawn(&self.programs, &self.data, self.port, self.storage)?;
            }
            if let Ok(mut connection) = self.connect().await
                && raw_sql("SELECT 1").execute(&mut connection).await.is_ok()
            {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        let log = std::fs::read_to_string(log_of(&self.data)).unwrap_or_default();
        let end: Vec<_> = log.lines().rev().take(20).collect();
        bail!("the database does not answer; its log ends (newest first): {end:#?}")
    }

    /// Ends all sessions but its own; tells how many.
    pub async fn terminate_sessions(&self) -> Result<u64> {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let row = raw_sql(sql).fetch_one(&mut self.connect().await?).await?;
        Ok(u64::try_from(row.try_get_unchecked::<i64, _>(0)?)?)
    }

    /// A standby that follows this cluster asynchronously, through any port that leads to it.
    pub async fn create_standby(&self, name: &str, port: u16) -> Result<Self> {
        let data = self.programs.workplace.join(format!("chaos-{}-{name}", std::process::id()));
        let (data_text, port) = (data.display().to_string(), port.to_string());
        let from = ["--host=127.0.0.1", "--port", &port, "--username=postgres"];
        let to =
            ["--pgdata", &data_text, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"];
        self.programs.run("pg_basebackup", &[&from[..], &to].concat()).await?;
        Self::start_on(self.programs.clone(), data, Storage::Synced, None).await
    }

    /// Ends it for good and removes its data.
    pub async fn destroy(mut self) -> Result<()> {
        self.stop(Stop::Immediate).await?;
        Ok(std::fs::remove_dir_all(&self.data)?)
    }

    /// Whether a standby receives at the moment.
    pub async fn is_receiving(&self) -> Result<bool> {
        let sql = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
        let row = raw_sql(sql).fetch_one(&mut self.connect().await?).await?;
        Ok(row.try_get_unchecked::<i64, _>(0)? > 0)
    }

    /// Makes a standby the one that takes writes.
    pub async fn promote(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        raw_sql("SELECT pg_promote(true, 30)").execute(&mut connection).await?;
        let row = raw_sql("SELECT pg_is_in_recovery()").fetch_one(&mut connection).await?;
        ensure!(!row.try_get_unchecked::<bool, _>(0)?, "the standby was not promoted");
        Ok(())
    }
}

fn log_of(data: &Path) -> PathBuf {
    data.with_extension("log")
}

fn spawn(programs: &Programs, data: &Path, port: u16, storage: Storage) -> Result<Child> {
    let log = std::fs::File::options().create(true).append(true).open(log_of(data))?;
    if let Some((user, group)) = programs.user {
        chown(log_of(data), Some(user), Some(group))?;
    }
    let mut command = programs.command("postgres");
    command.arg("-D").arg(data).args(["-p", &port.to_string()]);
    let sockets = format!("unix_socket_directories={}", programs.workplace.display());
    for setting in
        ["listen_addresses=127.0.0.1", "max_connections=200", "wal_level=replica", &sockets]
    {
        command.args(["-c", setting]);
    }
    if storage == Storage::NotSynced {
        command.args(["-c", "fsync=off"]);
    }
    command.stdout(log.try_clone()?).stderr(log);
    Ok(command.spawn()?)
}
