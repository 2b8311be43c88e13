//! A TCP proxy that can do to a connection what networks do: delay it, slow it down, swallow one
//! direction or both, reset it, cut it in the middle of an answer or, between a server and its
//! database, right around a commit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::postgres_wire::{CommitRequest, Frontend};

const CHUNK_BYTES: usize = 16 * 1024;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What a proxy does to everything that goes through it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behaviour {
    /// How long each piece is held back.
    pub delay: Duration,
    /// The most bytes a second in each direction; 0 is no limit.
    pub bytes_per_second: u64,
    /// Whether nothing from the client arrives.
    pub swallows_requests: bool,
    /// Whether nothing from the server arrives.
    pub swallows_answers: bool,
    /// Whether connections are refused.
    pub refuses: bool,
}

/// Where to cut a connection that asks for a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitCut {
    /// The request never arrives.
    BeforeRequest,
    /// The request arrives; the connection is gone at once.
    AfterRequest,
    /// The database has answered; the answer never arrives.
    BeforeAnswer,
}

/// A running proxy. It ends with its owner.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: watch::Sender<SocketAddr>,
    behaviour: watch::Sender<Behaviour>,
    /// Connections made before the generation that is current are reset.
    generation: watch::Sender<u64>,
    /// How many bytes of answers still arrive before their connection is cut.
    answer_bytes_left: watch::Sender<Option<u64>>,
    commit_cut: watch::Sender<Option<CommitCut>>,
    cuts: AtomicU64,
    connections: AtomicU64,
    refusals: AtomicU64,
    held_back: AtomicU64,
}

impl Proxy {
    /// Listens on a port of its own, in front of a server.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: watch::Sender::new(upstream),
            behaviour: watch::Sender::new(Behaviour::default()),
            generation: watch::Sender::new(0),
            answer_bytes_left: watch::Sender::new(None),
            commit_cut: watch::Sender::new(None),
            cuts: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        });
        let listening = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, listening })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends new connections to another server.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.shared.upstream.send_replace(upstream);
    }

    /// Changes what is done to all connections.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.behaviour.send_replace(behaviour);
    }

    /// Resets all connections.
    pub fn reset(&self) {
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// Cuts a connection once so many more bytes of answers have arrived.
    pub fn cut_answers_after(&self, bytes: u64) {
        self.shared.answer_bytes_left.send_replace(Some(bytes));
    }

    /// Cuts the next connection that asks for a commit of events.
    pub fn cut_next_commit(&self, cut: CommitCut) {
        self.shared.commit_cut.send_replace(Some(cut));
    }

    /// Whether the cut that was asked for last is still to come.
    pub fn is_cut_pending(&self) -> bool {
        self.shared.commit_cut.borrow().is_some()
            || self.shared.answer_bytes_left.borrow().is_some()
    }

    /// Takes back a cut that has not come.
    pub fn disarm(&self) {
        self.shared.commit_cut.send_replace(None);
        self.shared.answer_bytes_left.send_replace(None);
    }

    /// How many connections were cut where it was asked for.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    /// How many connections were refused.
    pub fn refusals(&self) -> u64 {
        self.shared.refusals.load(Ordering::Relaxed)
    }

    /// How many pieces of data had to wait.
    pub fn pieces_held_back(&self) -> u64 {
        self.shared.held_back.load(Ordering::Relaxed)
    }

    /// How many connections were made.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.reset();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        if shared.behaviour.borrow().refuses {
            shared.refusals.fetch_add(1, Ordering::Relaxed);
            let _ = client.set_zero_linger();
            continue;
        }
        shared.connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve(client, Arc::clone(&shared)));
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut generation = shared.generation.subscribe();
    generation.mark_unchanged();
    let upstream = *shared.upstream.borrow();
    let connecting = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(upstream));
    let Ok(Ok(server)) = connecting.await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // Whoever is cut off learns it by a reset, as from a machine that is gone.
    let _ = (client.set_zero_linger(), server.set_zero_linger());
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers_end = watch::Sender::new(false);
    let requests = requests(from_client, to_server, &shared, &answers_end);
    let answers = answers(from_server, to_client, &shared, &answers_end);
    tokio::select! {
        () = requests => {}
        () = answers => {}
        _ = generation.changed() => {}
    }
}

/// From the client to the server, until either is gone or the connection is cut.
async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    answers_end: &watch::Sender<bool>,
) {
    let mut protocol = Frontend::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        let bytes = &chunk[..length];
        shared.hold_back(length, |it| it.swallows_requests).await;
        let cut = protocol
            .take(bytes)
            .and_then(|commit| shared.commit_cut.send_replace(None).map(|cut| (cut, commit)));
        let Some((cut, commit)) = cut else {
            if to.write_all(bytes).await.is_err() {
                return;
            }
            continue;
        };
        return cut_at(cut, commit, bytes, &mut to, shared, answers_end).await;
    }
}

async fn cut_at(
    cut: CommitCut,
    commit: CommitRequest,
    bytes: &[u8],
    to: &mut OwnedWriteHalf,
    shared: &Shared,
    answers_end: &watch::Sender<bool>,
) {
    let passed = if cut == CommitCut::BeforeRequest { commit.before } else { commit.end };
    if cut == CommitCut::BeforeAnswer {
        // From here on the answers' side waits for the database's word and keeps it to itself.
        answers_end.send_replace(true);
    }
    let is_written = to.write_all(&bytes[..passed]).await.is_ok();
    if is_written && cut == CommitCut::BeforeAnswer {
        return std::future::pending().await;
    }
    shared.cuts.fetch_add(1, Ordering::Relaxed);
}

/// From the server to the client, until either is gone or the connection is cut.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    end: &watch::Sender<bool>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        if *end.borrow() {
            shared.cuts.fetch_add(1, Ordering::Relaxed);
            return;
        }
        shared.hold_back(length, |it| it.swallows_answers).await;
        let passed = shared.answer_bytes_to_pass(length);
        let is_written = to.write_all(&chunk[..passed]).await.is_ok();
        if !is_written || passed < length {
            return;
        }
    }
}

impl Shared {
    /// Waits for as long as the behaviour of the moment demands.
    async fn hold_back(&self, bytes: usize, swallows: impl Fn(&Behaviour) -> bool) {
        let mut behaviour = self.behaviour.subscribe();
        // What is swallowed is not lost to TCP: it arrives once the network is whole again.
        if swallows(&behaviour.borrow()) {
            self.held_back.fetch_add(1, Ordering::Relaxed);
        }
        let _ = behaviour.wait_for(|it| !swallows(it)).await;
        let (delay, rate) = {
            let behaviour = behaviour.borrow();
            (behaviour.delay, behaviour.bytes_per_second)
        };
        let paced = (bytes as u64 * 1_000_000).checked_div(rate).unwrap_or_default();
        let wait = delay + Duration::from_micros(paced);
        if !wait.is_zero() {
            self.held_back.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait).await;
        }
    }

    /// How much of an answer arrives; less than all of it if its connection is to be cut.
    fn answer_bytes_to_pass(&self, length: usize) -> usize {
        let mut passed = length;
        self.answer_bytes_left.send_if_modified(|left| {
            let Some(allowed) = *left else { return false };
            if allowed >= length as u64 {
                *left = Some(allowed - length as u64);
            } else {
                passed = usize::try_from(allowed).unwrap_or(length);
                *left = None;
                self.cuts.fetch_add(1, Ordering::Relaxed);
            }
            true
        });
        passed
    }
}
