//! Servers that crash and fail over, on clusters of the tests' own. Slow: `make chaos` runs them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use configapi_event_log::domain::{Point, Position};
use configapi_event_log::{
    AppendError, Epoch, EventLog, Head, LogError, PageLimit, Standing, Tail, TailError,
};
use configapi_event_log_postgres::{Access, PostgresLog};

use crate::harness::{connect, execute, is_slow_wanted};
use crate::process::{command, directory, free_port, run};
use crate::writing::{append, batch, open, verify, write_keyed};

/// How long a test leaves a server alone that is not there.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that a test may crash.
pub(crate) struct Cluster {
    directory: tempfile::TempDir,
    port: u16,
}

impl Cluster {
    /// A new primary.
    pub(crate) fn create() -> Self {
        let cluster = Self { directory: directory(), port: free_port() };
        let arguments = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"];
        run(program("initdb").arg("--pgdata").arg(cluster.data()).args(arguments).arg("--no-sync"));
        cluster.start();
        cluster
    }

    /// A standby that follows `primary`, not started yet.
    pub(crate) fn standby_of(primary: &Self) -> Self {
        let cluster = Self { directory: directory(), port: free_port() };
        let source = format!("host=127.0.0.1 port={} user=postgres", primary.port);
        let mut backup = program("pg_basebackup");
        let backup = backup.args(["--write-recovery-conf", "--checkpoint=fast", "--dbname"]);
        run(backup.arg(source).arg("--pgdata").arg(cluster.data()));
        cluster
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Adds a line to its settings, before it is started.
    pub(crate) fn set(&self, line: &str) {
        let settings = self.data().join("postgresql.auto.conf");
        let known = std::fs::read_to_string(&settings).expect("its settings");
        std::fs::write(settings, format!("{known}{line}\n")).expect("written");
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn control(&self, action: &str, arguments: &[&str]) {
        let log = self.directory.path().join("log");
        let mut control = program("pg_ctl");
        let control = control.arg(action).arg("--wait").arg("--pgdata").arg(self.data());
        run(control.arg("--log").arg(log).args(arguments).stdout(std::process::Stdio::null()));
    }

    pub(crate) fn start(&self) {
        let sockets = self.directory.path().display();
        let settings = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={sockets} -c fsync=off",
            self.port
        );
        self.control("start", &["--options", &settings]);
    }

    pub(crate) fn stop(&self, mode: &str) {
        self.control("stop", &["--mode", mode]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            let mut control = program("pg_ctl");
            let control = control.args(["stop", "--mode", "immediate", "--pgdata"]);
            // Nothing is left to be saved; the directory goes away next.
            let _ = control.arg(self.data()).output();
        }
    }
}

fn program(name: &str) -> std::process::Command {
    let directory = std::env::var("CONFIGAPI_TEST_PG_BIN").expect(
        "these tests make servers of their own: run them under `scripts/with-postgres`, or set \
         CONFIGAPI_TEST_PG_BIN to where initdb and pg_ctl are",
    );
    command(Path::new(&directory).join(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_under_load_loses_nothing_acknowledged() {
    const WRITERS: usize = 3;
    const CRASHES: usize = 4;
    if !is_slow_wanted("a server that crashes under load") {
        return;
    }
    let cluster = Arc::new(Cluster::create());
    let log = open(&cluster.url()).await;
    let (crashes, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (log, crashes, written) =
            (Arc::clone(&log), Arc::clone(&crashes), Arc::clone(&written));
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            while crashes.load(Ordering::Acquire) < CRASHES {
                let id = format!("{writer}-{}", acknowledged.len());
                acknowledged.push(write_keyed(&*log, &id).await);
                written.fetch_add(1, Ordering::AcqRel);
            }
            acknowledged
        });
    }
    for crash in 1..=CRASHES {
        let enough = written.load(Ordering::Acquire) + 100;
        while written.load(Ordering::Acquire) < enough {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let cluster = Arc::clone(&cluster);
        let crashing = tokio::task::spawn_blocking(move || {
            cluster.stop("immediate");
            cluster.start();
        });
        crashing.await.expect("started again");
        crashes.store(crash, Ordering::Release);
    }
    let acknowledged: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    let rows = verify(&*log).await.expect("a sound log");
    assert_eq!(rows.len(), 1 + acknowledged.len(), "each request is there once, and no other");
    let is_there = |row: &_| rows[1..].contains(row);
    assert!(acknowledged.iter().all(is_there), "an acknowledged event is lost");
    let identity = log.identity().await.expect("an identity");
    assert_eq!(identity.lineage.current(), Epoch::FIRST, "a crash is no failover");
}

/// Waits until a log holds a position.
pub(crate) async fn until_at(log: &dyn EventLog, position: Position) {
    for _ in 0..1_000 {
        if log.head().await.is_ok_and(|head| head.position >= position) {
            return;
        }
        log.grown(Position(position.0 - 1), Duration::from_millis(50)).await;
    }
    panic!("position {position} never came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_loses_a_tail_is_told_to_everybody() {
    if !is_slow_wanted("a failover that loses a tail") {
        return;
    }
    let primary = Cluster::create();
    let writer = open(&primary.url()).await;
    let reader = PostgresLog::open(&primary.url(), Access::ReadOnly).await.expect("opened");
    append(&*writer, 10).await;
    let mut standby = Cluster::standby_of(&primary);
    standby.start();

    let on_standby = open(&standby.url()).await;
    let kept = append(&*writer, 5).await;
    until_at(&*on_standby, kept.position).await;
    assert!(on_standby.identity().await.expect("an identity").is_standby);
    let copied = on_standby.read(Position::GENESIS, PageLimit::REPLAY).await.expect("a page");
    assert_eq!(copied.events.len(), 1 + 15, "a standby copies out too");
    let refused = on_standby.append(&kept, &batch(&kept, 1, None).0).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    assert!(on_standby.take_turn().await.is_err());

    standby.stop("fast");
    let lost = append(&*writer, 5).await;
    until_at(&reader, lost.position).await;
    primary.stop("immediate");
    // The standby takes over the primary's address.
    standby.port = primary.port;
    standby.start();
    standby.control("promote", &[]);

    let late = retried(&*writer, &lost).await;
    assert_eq!(late, AppendError::HeadGone, "the head was lost with the old server");
    let lineage = writer.identity().await.expect("an identity").lineage;
    assert_eq!((lineage.current(), lineage.epochs().len()), (Epoch(2), 2));
    assert!(lineage.still_holds(Epoch::FIRST, kept.position));
    assert!(!lineage.still_holds(Epoch::FIRST, kept.position.next()));

    let page = reader.read(lost.position, PageLimit::TAIL).await.expect("a page");
    assert_eq!(page.epoch, Epoch(2));
    let gone = Tail::after(lost.position, lost.hash).advance(page);
    assert_eq!(gone, Err(TailError::AnchorGone { position: lost.position }));

    // What was heard of the lost tail wakes nobody any more.
    let waiting = reader.grown(kept.position, Duration::from_mins(1));
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "woken by a position of the lost tail");
    append(&*writer, 1).await;
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("woken by a new event");
    let rows = verify(&reader).await.expect("a sound log");
    assert_eq!(rows.len(), 1 + 15 + 1);
}

/// A primary, a standby that has all there is, and a log that was opened on that.
struct Followed {
    primary: Cluster,
    standby: Cluster,
    log: Arc<PostgresLog>,
    head: Head,
}

impl Followed {
    async fn create() -> Self {
        let primary = Cluster::create();
        let head = append(&*open(&primary.url()).await, 5).await;
        let standby = Cluster::standby_of(&primary);
        standby.start();
        let log = open(&standby.url()).await;
        until_at(&*log, head.position).await;
        Self { primary, standby, log, head }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_promoted_under_its_connections_begins_an_epoch() {
    if !is_slow_wanted("a standby that is promoted under its connections") {
        return;
    }
    let Followed { primary, standby, log, head } = Followed::create().await;
    assert!(log.take_turn().await.is_err(), "a standby gives no turns");
    refuses_look_ups(&*log).await;
    primary.stop("immediate");
    standby.control("promote", &[]);
    assert_eq!(log.head().await.expect("the connection lives on").position, head.position);

    assert_eq!(retried(&*log, &head).await, AppendError::HeadGone);
    let lineage = log.identity().await.expect("an identity").lineage;
    assert_eq!(lineage.current(), Epoch(2));
    assert!(lineage.still_holds(Epoch::FIRST, head.position), "nothing was lost");
    append(&*log, 1).await;
}

/// What failed in the middle of a transaction leaves none to those who come after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_could_not_begin_is_in_nobodys_way() {
    if !is_slow_wanted("an epoch that could not begin") {
        return;
    }
    let Followed { primary, standby, log, head } = Followed::create().await;
    // Before anybody can write there: the log looks for its server by itself, and may find it first.
    let mut other = connect(&standby.url()).await;
    execute(&mut other, "BEGIN; SELECT pg_advisory_xact_lock(7165066918303850864)").await;
    primary.stop("immediate");
    standby.control("promote", &[]);
    let refused = log.head().await.expect_err("no epoch can begin");
    assert!(refused.to_string().contains("55P03"), "{refused}");
    execute(&mut other, "ROLLBACK").await;

    assert_eq!(log.head().await.expect("the others are gone").position, head.position);
    assert_eq!(log.identity().await.expect("an identity").lineage.current(), Epoch(2));
    append(&*log, 1).await;
}

/// The second knows of the first no more than that there was one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_failovers_from_one_past_begin_two_epochs() {
    if !is_slow_wanted("two failovers from one past") {
        return;
    }
    let primary = Cluster::create();
    let log = open(&primary.url()).await;
    let mut head = append(&*log, 5).await;
    for epoch in [2, 3, 4] {
        let begun = log.begin_epoch(&head).await.expect("an epoch");
        assert_eq!(begun, Epoch(epoch));
        head = log.head().await.expect("a head");
    }
    let standbys = [Cluster::standby_of(&primary), Cluster::standby_of(&primary)];
    primary.stop("fast");
    let mut epochs = Vec::new();
    for (number, standby) in (0..).zip(&standbys) {
        standby.set("recovery_target_timeline = 'current'");
        if number > 0 {
            let history = |cluster: &Cluster| cluster.data().join("pg_wal/00000002.history");
            run(command("/bin/cp").arg(history(&standbys[0])).arg(history(standby)));
        }
        standby.start();
        standby.control("promote", &[]);
        let promoted = open(&standby.url()).await;
        epochs.push(promoted.identity().await.expect("an identity").lineage.current());
    }
    assert_eq!(epochs, [Epoch(5), Epoch(6)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_comes_back_as_a_standby_says_so_with_its_head() {
    if !is_slow_wanted("a primary that comes back as a standby") {
        return;
    }
    let primary = Cluster::create();
    let log = open(&primary.url()).await;
    let head = append(&*log, 5).await;
    assert_eq!(log.standing().await, Ok(Standing { head, is_standby: false }));
    primary.stop("fast");
    std::fs::write(primary.data().join("standby.signal"), "").expect("a signal");
    primary.start();
    let mut standing = log.standing().await;
    for _ in 0..100 {
        if !matches!(standing, Err(LogError::Unavailable(_))) {
            break;
        }
        log.grown(head.position, PAUSE).await;
        standing = log.standing().await;
    }
    assert_eq!(standing, Ok(Standing { head, is_standby: true }));
    primary.control("promote", &[]);
    // Who may write begins the epoch of the new timeline first.
    let head = Head { epoch: Epoch(2), ..head };
    assert_eq!(log.standing().await, Ok(Standing { head, is_standby: false }));
}

/// What a writer decides on never comes from a server that may lag behind.
async fn refuses_look_ups(log: &dyn EventLog) {
    let (stream, all) = ("default/a", usize::MAX);
    let refused = |error: LogError| assert!(matches!(error, LogError::Unavailable(_)), "{error}");
    refused(log.newest(&[stream], all).await.expect_err("refused"));
    let point = Point::Position(Position(1));
    refused(log.streams_at(&[(stream, point)], all).await.expect_err("refused"));
    refused(log.requests(&["k"], all).await.expect_err("refused"));
    assert!(log.identity().await.expect("an identity").is_standby);
}

/// Appends after `head` until the server is there to answer.
async fn retried(log: &dyn EventLog, head: &Head) -> AppendError {
    for _ in 0..100 {
        match log.append(head, &batch(head, 1, None).0).await {
            Ok(()) => panic!("appended to a head that is lost"),
            Err(AppendError::Unavailable(_) | AppendError::Unknown(_)) => {}
            Err(told) => return told,
        }
    }
    panic!("the server never came back");
}
