//! Pages that are copied out: from servers that do not copy, and over connections that break or
//! garble a copy. Nothing but whole rows ever comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use configapi_event_log::domain::Position;
use configapi_event_log::{EventLog, LogError, PageLimit};
use configapi_event_log_postgres::{Access, PostgresLog};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::harness::{Database, server_url};
use crate::writing::{append, open};

/// What happens to each copy on its way.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    /// The server answers with this SQLSTATE instead.
    Refused(&'static str),
    /// The connection breaks after so many messages.
    CutAfter(usize),
    /// The last bytes of this message do not come.
    ShortAt(usize),
}

/// Stands between a log and its server.
struct Between {
    port: u16,
    copies: Arc<AtomicUsize>,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Between {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Between {
    async fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let copies = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&copies);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(stand_between(client, fault, Arc::clone(&counted)));
            }
        });
        Self { port, copies, listening }
    }

    async fn log(&self, database: &Database) -> PostgresLog {
        let name = &database.name;
        let user = server().get_username().to_owned();
        let url = format!("postgres://{user}@127.0.0.1:{}/{name}?sslmode=disable", self.port);
        PostgresLog::open(&url, Access::ReadOnly).await.expect("the log opens")
    }

    fn copies(&self) -> usize {
        self.copies.load(Ordering::Acquire)
    }
}

fn server() -> PgConnectOptions {
    server_url().parse().expect("a URL")
}

async fn stand_between(client: TcpStream, fault: Fault, copies: Arc<AtomicUsize>) {
    let server = TcpStream::connect((server().get_host(), server().get_port())).await;
    let server = server.expect("the server answers");
    // Each message is a write of its own, and none shall wait for the one before to be received.
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("set");
    }
    let (from_server, mut to_server) = server.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    // What a connection begins with has no kind.
    let Ok(length) = from_client.read_u32().await else { return };
    let mut greeting = vec![0; length as usize - 4];
    from_client.read_exact(&mut greeting).await.expect("a greeting");
    to_server.write_u32(length).await.expect("sent");
    to_server.write_all(&greeting).await.expect("sent");
    let (answers, mut answered) = unbounded_channel();
    let refusals = answers.clone();
    let questions = tokio::spawn(async move {
        while let Some((kind, body)) = message(&mut from_client).await {
            let is_copy = kind == b'Q' && body.starts_with(b"COPY");
            copies.fetch_add(usize::from(is_copy), Ordering::AcqRel);
            match fault {
                Fault::Refused(code) if is_copy => refuse(&refusals, code),
                _ if pass_on(&mut to_server, kind, &body).await.is_err() => return,
                _ => {}
            }
        }
    });
    let answering = tokio::spawn(answer(from_server, fault, answers));
    while let Some((kind, body)) = answered.recv().await {
        if kind == CUT || pass_on(&mut to_client, kind, &body).await.is_err() {
            break;
        }
    }
    questions.abort();
    answering.abort();
}

/// A message: what kind it is of, and the rest.
type Message = (u8, Vec<u8>);

/// No message, but the end of the connection.
const CUT: u8 = 0;

async fn answer(mut server: OwnedReadHalf, fault: Fault, answers: UnboundedSender<Message>) {
    let mut copied = 0;
    while let Some((kind, mut body)) = message(&mut server).await {
        copied += usize::from(kind == b'd');
        let kind = match fault {
            Fault::CutAfter(count) if kind == b'd' && copied > count => CUT,
            Fault::ShortAt(count) if kind == b'd' && copied == count => {
                body.truncate(body.len().saturating_sub(3));
                kind
            }
            _ => kind,
        };
        if answers.send((kind, body)).is_err() {
            return;
        }
    }
    let _ = answers.send((CUT, Vec::new()));
}

fn refuse(answers: &UnboundedSender<Message>, code: &str) {
    let refusal = format!("SERROR\0VERROR\0C{code}\0Mno copies here\0\0");
    for message in [(b'E', refusal.into_bytes()), (b'Z', b"I".to_vec())] {
        answers.send(message).expect("somebody waits");
    }
}

async fn message(from: &mut OwnedReadHalf) -> Option<Message> {
    let kind = from.read_u8().await.ok()?;
    let length = from.read_u32().await.ok()?;
    let mut body = vec![0; length as usize - 4];
    from.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

async fn pass_on(to: &mut OwnedWriteHalf, kind: u8, body: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(body.len() + 4).expect("a length");
    let bytes = [&[kind][..], &length.to_be_bytes(), body].concat();
    to.write_all(&bytes).await
}

const ROWS: usize = 300;

async fn written() -> Database {
    let database = Database::create().await;
    append(&*open(&database.url).await, ROWS).await;
    database
}

#[tokio::test]
async fn much_is_copied_and_little_is_selected() {
    let (database, between) = (written().await, Between::start(Fault::None).await);
    let log = between.log(&database).await;
    let selected = log.read(Position::GENESIS, PageLimit::TAIL).await.expect("a page");
    assert_eq!((selected.events.len(), between.copies()), (1 + ROWS, 0));
    let copied = log.read(Position::GENESIS, PageLimit::REPLAY).await.expect("a page");
    assert_eq!((copied == selected, between.copies()), (true, 1));
}

#[tokio::test]
async fn a_server_that_refuses_copies_is_asked_once_and_read_by_select() {
    for code in ["0A000", "42601", "42501"] {
        let (database, between) = (written().await, Between::start(Fault::Refused(code)).await);
        let log = between.log(&database).await;
        for _ in 0..3 {
            let page = log.read(Position::GENESIS, PageLimit::REPLAY).await.expect("a page");
            assert_eq!(page.events.len(), 1 + ROWS);
        }
        assert_eq!(between.copies(), 1);
        assert_eq!(log.head().await.expect("the head").position, Position(ROWS as u64));
    }
}

#[tokio::test]
async fn a_refusal_for_now_does_not_end_the_copying() {
    let (database, between) = (written().await, Between::start(Fault::Refused("53200")).await);
    let log = between.log(&database).await;
    for copies in 1..4 {
        let outcome = log.read(Position::GENESIS, PageLimit::REPLAY).await;
        assert!(matches!(outcome, Err(LogError::Unavailable(_))), "{outcome:?}");
        assert_eq!(between.copies(), copies);
        assert_eq!(log.head().await.expect("the head").position, Position(ROWS as u64));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_within_a_copy_gives_no_half_page() {
    let database = written().await;
    for messages in [0, 1, ROWS - 1, ROWS + 1] {
        let between = Between::start(Fault::CutAfter(messages)).await;
        let log = between.log(&database).await;
        let outcome = log.read(Position::GENESIS, PageLimit::REPLAY).await;
        assert!(matches!(outcome, Err(LogError::Unavailable(_))), "{outcome:?}");
        assert_eq!(log.head().await.expect("the head").position, Position(ROWS as u64));
    }
}

#[tokio::test]
async fn a_copy_that_lacks_a_few_bytes_is_corrupt() {
    let database = written().await;
    for message in [1, 2, ROWS + 1] {
        let between = Between::start(Fault::ShortAt(message)).await;
        let log = between.log(&database).await;
        let outcome = log.read(Position::GENESIS, PageLimit::REPLAY).await;
        assert!(matches!(outcome, Err(LogError::Corrupt { .. })), "{message}: {outcome:?}");
        assert_eq!(log.head().await.expect("the head").position, Position(ROWS as u64));
    }
}
