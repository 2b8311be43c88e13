//! A database that is far away: what is large takes its time to come there, and is not given up for that.

use std::sync::Arc;

use configapi_event_log::EventLog;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Row, raw_sql};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::harness::{Database, is_slow_wanted};
use crate::writing::{large_batch, open};

/// What goes through a link before it stops, of each connection: more than anything but a large batch.
const LETS_THROUGH: usize = 3 << 20;

/// A link that stops in the middle of what is large.
struct Link {
    port: u16,
    goes_on: Arc<Semaphore>,
}

impl Link {
    async fn to(server: (String, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let goes_on = Arc::new(Semaphore::new(0));
        let shared = Arc::clone(&goes_on);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, goes_on) = (server.clone(), Arc::clone(&shared));
                // Ends with its client or with its server.
                tokio::spawn(async move { carry(client, server, &goes_on).await.ok() });
            }
        });
        Self { port, goes_on }
    }

    fn goes_on(&self) {
        self.goes_on.add_permits(Semaphore::MAX_PERMITS);
    }
}

async fn carry(
    client: TcpStream,
    server: (String, u16),
    goes_on: &Semaphore,
) -> std::io::Result<()> {
    let server = TcpStream::connect((server.0.as_str(), server.1)).await?;
    let (mut from_server, mut to_server) = server.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let there = async {
        let mut chunk = vec![0; 64 << 10];
        let mut carried = 0;
        loop {
            let count = from_client.read(&mut chunk).await?;
            carried += count;
            if carried > LETS_THROUGH {
                let goes_on = goes_on.acquire().await;
                goes_on.map_err(std::io::Error::other)?.forget();
            }
            to_server.write_all(&chunk[..count]).await?;
            if count == 0 {
                return to_server.shutdown().await;
            }
        }
    };
    tokio::try_join!(there, async { copy(&mut from_server, &mut to_client).await.map(drop) })?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_keeps_its_turn_however_slowly_it_comes() {
    if !is_slow_wanted("a large batch over a slow link") {
        return;
    }
    let database = Database::create().await;
    let server: PgConnectOptions = database.url.parse().expect("a URL");
    let (host, port) = (server.get_host().to_owned(), server.get_port());
    let link = Link::to((host.clone(), port)).await;
    let far = database.url.replace(&format!("{host}:{port}"), &format!("127.0.0.1:{}", link.port));
    assert_ne!(far, database.url);
    let log = open(&far).await;
    let head = log.head().await.expect("the head");
    let (rows, end) = large_batch(&head, 6, 1_000_000 - 100);
    let turn = log.take_turn().await.expect("a turn");

    // Longer than a turn may be idle for the database, or until it has cut the connection for that.
    let is_slow = async {
        let mut other = database.connect().await;
        let sql = "SELECT count(*) FILTER (WHERE clock_timestamp() - state_change < '4 seconds') \
                   FROM pg_stat_activity WHERE datname = current_database() \
                   AND state = 'idle in transaction'";
        while raw_sql(sql).fetch_one(&mut other).await.expect("an answer").get::<i64, _>(0) > 0 {
            tokio::task::yield_now().await;
        }
        link.goes_on();
    };
    let (outcome, ()) = tokio::join!(turn.append(&head, &rows), is_slow);
    assert_eq!(outcome, Ok(()));
    assert_eq!(log.head().await, Ok(end));
}
