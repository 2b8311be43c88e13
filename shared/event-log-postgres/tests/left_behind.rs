//! A primary that lives on when another one has taken over, and the connections that were made to it
//! before: new ones lead elsewhere. Most of it is slow: `make chaos` runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use configapi_event_log::domain::{Point, Version};
use configapi_event_log::{AppendError, Epoch, EventLog, Head, LogError};
use configapi_event_log_postgres::PostgresLog;
use sqlx::postgres::PgConnection;
use sqlx::{Row, raw_sql};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Database, connect, execute, is_slow_wanted};
use crate::parted::Servers;
use crate::writing::{append, batch, open};

/// What a writer looks up before it decides.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LookUp {
    Newest,
    Past,
    Request,
}

impl LookUp {
    pub(crate) const ALL: [Self; 3] = [Self::Newest, Self::Past, Self::Request];

    /// Whether the event is found that the old server alone holds.
    pub(crate) async fn finds_lost(self, log: &PostgresLog) -> Result<bool, LogError> {
        const STREAM: &str = "default/request/lost";
        Ok(match self {
            Self::Newest => !log.newest(&[STREAM], usize::MAX).await?.rows.is_empty(),
            Self::Past => {
                let wanted = [(STREAM, Point::Version(Version(1)))];
                log.streams_at(&wanted, usize::MAX).await?[0].is_some()
            }
            Self::Request => !log.requests(&["lost"], usize::MAX).await?.rows.is_empty(),
        })
    }
}

/// An address that leads to one server and then to another one. What was connected before stays so.
struct Address {
    port: u16,
    server: Arc<AtomicU16>,
}

impl Address {
    async fn of(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = Arc::new(AtomicU16::new(server));
        let shared = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let place = ("127.0.0.1", shared.load(Ordering::Acquire));
                let mut server = TcpStream::connect(place).await.expect("the server");
                // Ends with either of the two.
                tokio::spawn(
                    async move { copy_bidirectional(&mut client, &mut server).await.ok() },
                );
            }
        });
        Self { port, server }
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

/// A log whose connection to write with leads to the old server, while new ones lead to the new one.
struct Parted {
    address: Address,
    log: Arc<PostgresLog>,
    old: PgConnection,
    new_port: u16,
    kept: Head,
}

impl Parted {
    async fn of(servers: &Servers) -> Self {
        let address = Address::of(servers.old.port()).await;
        let log = open(&address.url()).await;
        let found = LookUp::Newest.finds_lost(&log).await;
        assert_eq!(found, Ok(true));
        let old = connect(&servers.old.url()).await;
        Self { address, log, old, new_port: servers.new.port(), kept: servers.kept }
    }

    /// From now on it is known that another one has taken over, over a new connection to read with.
    async fn hear_of_the_new(&mut self) {
        const CUT_READERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'configapi' AND state = 'idle' \
             AND query NOT LIKE 'INSERT INTO configapi.events%'";
        self.address.server.store(self.new_port, Ordering::Release);
        execute(&mut self.old, CUT_READERS).await;
        assert_eq!(self.log.head().await, Ok(Head { epoch: Epoch(2), ..self.kept }));
    }

    /// Returns when a statement waits for a lock on the old server.
    async fn until_one_waits(&mut self) {
        let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        let waits = async {
            loop {
                let row = raw_sql(sql).fetch_one(&mut self.old).await.expect("a row");
                if row.get_unchecked::<String, _>(0) != "0" {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waits).await.expect("one waits");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_left_behind_is_neither_asked_nor_written_any_more() {
    if !is_slow_wanted("a server that was left behind") {
        return;
    }
    let servers = Servers::start().await;
    for question in LookUp::ALL {
        let mut parted = Parted::of(&servers).await;
        parted.hear_of_the_new().await;
        let found = question.finds_lost(&parted.log).await;
        assert_eq!(found, Ok(false), "{question:?}");
    }
    let mut parted = Parted::of(&servers).await;
    parted.hear_of_the_new().await;
    let refused = parted.log.append(&servers.told, &batch(&servers.told, 1, None).0).await;
    assert_eq!(refused, Err(AppendError::HeadGone));

    let mut parted = Parted::of(&servers).await;
    let turn = parted.log.take_turn().await.expect("a turn");
    parted.hear_of_the_new().await;
    let refused = turn.append(&servers.told, &batch(&servers.told, 1, None).0).await;
    assert_eq!(refused, Err(AppendError::HeadGone), "in a turn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_that_is_left_behind_says_meanwhile_is_not_believed() {
    if !is_slow_wanted("a server that is left behind meanwhile") {
        return;
    }
    let servers = Servers::start().await;
    for question in LookUp::ALL {
        let mut parted = Parted::of(&servers).await;
        let mut holder = connect(&servers.old.url()).await;
        execute(&mut holder, "BEGIN; LOCK TABLE configapi.events IN ACCESS EXCLUSIVE MODE").await;
        let log = Arc::clone(&parted.log);
        let asking = tokio::spawn(async move { question.finds_lost(&log).await });
        parted.until_one_waits().await;
        parted.hear_of_the_new().await;
        execute(&mut holder, "ROLLBACK").await;
        assert_eq!(asking.await.expect("an answer"), Ok(false), "{question:?}");
    }

    let mut parted = Parted::of(&servers).await;
    let mut holder = connect(&servers.old.url()).await;
    execute(&mut holder, "BEGIN; SELECT pg_advisory_xact_lock(7165066918303850864)").await;
    let (log, head) = (Arc::clone(&parted.log), servers.told);
    let appending = tokio::spawn(async move { log.append(&head, &batch(&head, 1, None).0).await });
    parted.until_one_waits().await;
    parted.hear_of_the_new().await;
    execute(&mut holder, "ROLLBACK").await;
    let outcome = appending.await.expect("an outcome");
    assert!(matches!(outcome, Err(AppendError::Unknown(_))), "{outcome:?}");
}

/// Whoever reads this may have a standby before him that catches up by itself.
#[tokio::test]
async fn what_to_do_about_a_server_in_an_earlier_epoch_is_said_for_standbys_too() {
    let database = Database::create().await;
    let log = open(&database.url).await;
    let head = append(&*log, 2).await;
    assert_eq!(log.begin_epoch(&head).await, Ok(Epoch(2)));
    let sql =
        "SET session_replication_role = replica; DELETE FROM configapi.epochs WHERE epoch = 2";
    execute(&mut database.connect().await, sql).await;
    let error = log.identity().await.expect_err("it was seen in a later epoch");
    let told = "this server is in epoch 1, but the log has been seen in a later one. A standby that has \
                not heard of it catches up by itself; one that another took over from is to be taken away; \
                if this one is right, begin a new epoch and start this process again";
    assert!(error.to_string().ends_with(told), "{error}");
}
