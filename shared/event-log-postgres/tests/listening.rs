//! A connection that listens and falls silent without a word. Slow: `make chaos` runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use configapi_event_log::EventLog;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Database, is_slow_wanted, server_url};
use crate::writing::{append, open};

/// A way to the server, on which connections that listen fall silent: both ends stay open, and what is
/// said goes nowhere.
struct Line {
    port: u16,
    calls: Arc<Calls>,
}

#[derive(Default)]
struct Calls {
    /// How many connections wanted to listen so far.
    listening: AtomicUsize,
    /// The last of them that was answered.
    answered: AtomicUsize,
    /// Those up to here are silent.
    silent: AtomicUsize,
}

impl Line {
    async fn to(server: PgConnectOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let calls = Arc::new(Calls::default());
        let shared = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let place = (server.get_host(), server.get_port());
                let server = TcpStream::connect(place).await.expect("the server");
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                let call = Arc::new(Call { calls: Arc::clone(&shared), number: 0.into() });
                tokio::spawn(Arc::clone(&call).pass(from_client, to_server, true));
                tokio::spawn(call.pass(from_server, to_client, false));
            }
        });
        Self { port, calls }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Calls) -> bool) {
        let until = async {
            while !is_so(&self.calls) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), until).await.expect(what);
    }
}

/// One connection.
struct Call {
    calls: Arc<Calls>,
    /// Zero until it wants to listen.
    number: AtomicUsize,
}

impl Call {
    fn is_silent(&self) -> bool {
        let number = self.number.load(Ordering::Acquire);
        number > 0 && number <= self.calls.silent.load(Ordering::Acquire)
    }

    async fn pass(self: Arc<Self>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asks: bool) {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let Ok(count @ 1..) = from.read(&mut bytes).await else { return };
            let said = &bytes[..count];
            if asks && said.windows(8).any(|window| window == b"LISTEN \"") {
                let number = self.calls.listening.fetch_add(1, Ordering::AcqRel) + 1;
                self.number.store(number, Ordering::Release);
            }
            if !self.is_silent() {
                if to.write_all(said).await.is_err() {
                    return;
                }
                if !asks {
                    let number = self.number.load(Ordering::Acquire);
                    self.calls.answered.fetch_max(number, Ordering::AcqRel);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_listens_and_falls_silent_is_replaced() {
    if !is_slow_wanted("a connection that listens and falls silent") {
        return;
    }
    let database = Database::create().await;
    let server: PgConnectOptions = server_url().parse().expect("a URL");
    let line = Line::to(server.clone()).await;
    let (user, port, name) = (server.get_username(), line.port, &database.name);
    let log = open(&format!("postgres://{user}@127.0.0.1:{port}/{name}")).await;
    let head = append(&*log, 1).await;
    // The first one is silent from the moment that it wants to listen.
    line.calls.silent.store(1, Ordering::Release);
    let waiting = {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.grown(head.position, Duration::from_mins(3)).await })
    };
    line.until("the wait for an answer ends", |calls| calls.answered.load(Ordering::Acquire) == 2)
        .await;
    line.calls.silent.store(2, Ordering::Release);
    line.until("a silent connection is found out", |calls| {
        calls.answered.load(Ordering::Acquire) == 3
    })
    .await;
    append(&*open(&database.url).await, 1).await;
    waiting.await.expect("woken");
}
