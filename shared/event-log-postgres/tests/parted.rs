//! A pooler that leads to another server from one transaction to the next, as poolers do after a
//! failover: whatever was asked before was asked of the old one. Slow: `make chaos` runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use configapi_event_log::domain::Position;
use configapi_event_log::{
    AppendError, Epoch, EventLog, Head, LogError, PageLimit, Reach, Standing,
};
use configapi_event_log_postgres::{Access, PostgresLog};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cluster::Cluster;
use crate::harness::{connect, execute, is_slow_wanted};
use crate::left_behind::LookUp;
use crate::writing::{append, batch, open};

/// More transactions than any call makes, those of its connections included.
const MANY: usize = 60;

/// A primary that lives on, and a standby that was promoted and lacks its last event, though it was
/// acknowledged.
pub(crate) struct Servers {
    pub(crate) old: Cluster,
    pub(crate) new: Cluster,
    /// The last event that both have.
    pub(crate) kept: Head,
    /// The last event of the old one, keyed as "lost".
    pub(crate) told: Head,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let old = Cluster::create();
        let kept = append(&*open(&old.url()).await, 5).await;
        let new = Cluster::standby_of(&old);
        new.set("primary_conninfo = ''");
        let (rows, told) = batch(&kept, 1, Some("lost"));
        open(&old.url()).await.append(&kept, &rows).await.expect("appended");
        new.start();
        new.control("promote", &[]);
        Self { old, new, kept, told }
    }

    /// A pooler that leads to the old one, and a log behind it that is connected.
    async fn behind_a_pooler(&self, access: Access) -> (Pooler, PostgresLog) {
        let mut new = connect(&self.new.url()).await;
        let forget = "SET session_replication_role = replica; \
                      DELETE FROM configapi.epochs WHERE epoch > 1";
        execute(&mut new, forget).await;
        let pooler = Pooler::start([self.old.port(), self.new.port()]).await;
        let log = PostgresLog::new(&pooler.url(), access).expect("a log");
        assert_eq!(log.head().await, Ok(self.told));
        (pooler, log)
    }
}

struct Pooler {
    port: u16,
    way: Arc<Way>,
}

struct Way {
    servers: [u16; 2],
    /// How many transactions still go to the first server.
    left: AtomicUsize,
}

impl Way {
    fn next(&self) -> usize {
        let one_less = |left: usize| left.checked_sub(1);
        let left = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
        usize::from(left.is_err())
    }
}

impl Pooler {
    async fn start(servers: [u16; 2]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let way = Arc::new(Way { servers, left: AtomicUsize::new(usize::MAX) });
        let shared = Arc::clone(&way);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let way = Arc::clone(&shared);
                // Ends with its client or with its servers.
                tokio::spawn(async move { serve(client, &way).await.ok() });
            }
        });
        Self { port, way }
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// So many transactions from now on still go to the old server.
    fn leave_after(&self, transactions: usize) {
        self.way.left.store(transactions, Ordering::Release);
    }

    fn has_left(&self) -> bool {
        self.way.left.load(Ordering::Acquire) == 0
    }
}

/// One message, its type first.
async fn message(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![from.read_u8().await?];
    bytes.extend(body(from).await?);
    Ok(bytes)
}

/// The length and what is that long.
async fn body(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.resize(usize::try_from(length).expect("a length"), 0);
    from.read_exact(&mut bytes[4..]).await?;
    Ok(bytes)
}

/// All up to where a server is ready for more, and whether it is within a transaction then.
async fn answer(server: &mut TcpStream) -> std::io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    loop {
        let next = message(server).await?;
        let is_ready = next[0] == b'Z';
        let is_idle = next.last() == Some(&b'I');
        bytes.extend(next);
        if is_ready {
            return Ok((bytes, !is_idle));
        }
    }
}

async fn serve(mut client: TcpStream, way: &Way) -> std::io::Result<()> {
    const STARTUP: &[u8] = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    const WANTS_TLS: &[u8] = &80_877_103_u32.to_be_bytes();
    while body(&mut client).await?[4..] == *WANTS_TLS {
        client.write_all(b"N").await?;
    }
    // What the client wishes of its session is swallowed.
    let mut servers = Vec::new();
    for port in way.servers {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
        let length = u32::try_from(STARTUP.len() + 4).expect("a length");
        server.write_all(&[&length.to_be_bytes(), STARTUP].concat()).await?;
        let (welcome, _) = answer(&mut server).await?;
        if servers.is_empty() {
            client.write_all(&welcome).await?;
        }
        servers.push(server);
    }
    let (mut at, mut is_in_transaction) = (0, false);
    loop {
        let mut question = Vec::new();
        loop {
            let next = message(&mut client).await?;
            let kind = next[0];
            question.extend(next);
            match kind {
                b'X' => return Ok(()),
                b'Q' | b'S' => break,
                _ => {}
            }
        }
        if !is_in_transaction {
            at = way.next();
        }
        servers[at].write_all(&question).await?;
        let (told, is_open) = answer(&mut servers[at]).await?;
        is_in_transaction = is_open;
        client.write_all(&told).await?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_appended_to_a_lost_past_wherever_a_failover_comes_between() {
    if !is_slow_wanted("appends with a failover in between") {
        return;
    }
    let servers = Servers::start().await;
    let rows = batch(&servers.kept, 1, None).0;
    for transactions in 0..MANY {
        let mut is_over = true;
        for in_turn in [false, true] {
            let (pooler, log) = servers.behind_a_pooler(Access::ReadWrite).await;
            pooler.leave_after(transactions);
            let outcome = if in_turn {
                let turn = log.take_turn().await.expect("a turn");
                turn.append(&servers.kept, &rows).await
            } else {
                log.append(&servers.kept, &rows).await
            };
            let is_refused = matches!(outcome, Err(AppendError::HeadGone | AppendError::HeadMoved));
            assert!(is_refused, "a failover after {transactions} transactions: {outcome:?}");
            is_over &= !pooler.has_left();
        }
        if is_over {
            return;
        }
    }
    panic!("it makes more than {MANY} transactions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_begins_on_the_timeline_of_the_server_that_holds_it() {
    if !is_slow_wanted("an epoch that begins with a failover in between") {
        return;
    }
    let servers = Servers::start().await;
    for transactions in 0..MANY {
        let (pooler, log) = servers.behind_a_pooler(Access::ReadWrite).await;
        pooler.leave_after(transactions);
        match log.begin_epoch(&servers.kept).await {
            Ok(begun) => {
                let lineage = open(&servers.new.url()).await.identity().await.expect("an identity");
                let current = lineage.lineage.current();
                assert_eq!(current, begun, "a failover after {transactions} transactions");
            }
            Err(LogError::Unavailable(_)) => {}
            Err(error) => panic!("a failover after {transactions} transactions: {error}"),
        }
        if !pooler.has_left() {
            return;
        }
    }
    panic!("it makes more than {MANY} transactions");
}

/// What the promoted server holds says nothing of the end of the log until an epoch says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_judged_by_the_standing_of_another_server() {
    if !is_slow_wanted("reads with a failover in between") {
        return;
    }
    let servers = Servers::start().await;
    let (kept, told) = (servers.kept, servers.told);
    let begun = Head { epoch: Epoch(2), ..kept };
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let mut is_read = false;
        for transactions in 0..MANY {
            let (pooler, log) = servers.behind_a_pooler(access).await;
            pooler.leave_after(transactions);
            let standing = log.standing().await.expect("an answer");
            let is_all = standing.head == told || standing.head == begun;
            assert!(
                is_all != standing.is_standby && (is_all || standing.head == kept),
                "a failover after {transactions} transactions: {standing:?}"
            );
            is_read = !pooler.has_left();

            let (pooler, log) = servers.behind_a_pooler(access).await;
            pooler.leave_after(transactions);
            let page = log.read(Position::GENESIS, PageLimit::TAIL).await.expect("a page");
            let is_all = page.events.len() == 1 + 6 || page.epoch == begun.epoch;
            let reach = if is_all { Reach::Asked } else { Reach::Unknown };
            assert_eq!(page.reach, reach, "a failover after {transactions} transactions");
            is_read &= !pooler.has_left();
            if is_read {
                break;
            }
        }
        assert!(is_read, "it makes more than {MANY} transactions");
    }
}

/// Where nothing can be asked about timelines, asking must not end the transaction that has the turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_timelines_is_written_to_through_a_pooler() {
    if !is_slow_wanted("a server without timelines behind a pooler") {
        return;
    }
    let server = Cluster::create();
    let mut owner = connect(&server.url()).await;
    execute(&mut owner, "ALTER FUNCTION pg_walfile_name(pg_lsn) RENAME TO pg_walfile_gone").await;
    let pooler = Pooler::start([server.port(); 2]).await;
    let log = open(&pooler.url()).await;
    let head = append(&*log, 2).await;
    let (rows, end) = batch(&head, 1, None);
    let turn = log.take_turn().await.expect("a turn");
    turn.append(&head, &rows).await.expect("appended in turn");
    assert_eq!(log.standing().await, Ok(Standing { head: end, is_standby: false }));
    let page = log.read(Position::GENESIS, PageLimit::TAIL).await.expect("a page");
    assert_eq!((page.events.len(), page.reach), (1 + 3, Reach::Asked));
    let begun = log.begin_epoch(&end).await;
    assert_eq!(begun, Ok(Epoch(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_looked_up_in_a_server_that_a_pooler_leads_back_to() {
    if !is_slow_wanted("look-ups behind a pooler that leads back") {
        return;
    }
    let servers = Servers::start().await;
    for question in LookUp::ALL {
        let (pooler, log) = servers.behind_a_pooler(Access::ReadWrite).await;
        pooler.leave_after(0);
        assert_eq!(question.finds_lost(&log).await, Ok(false), "{question:?}");
        pooler.leave_after(usize::MAX);
        let refused = question.finds_lost(&log).await;
        assert!(matches!(refused, Err(LogError::Unavailable(_))), "{question:?}: {refused:?}");
    }
}
