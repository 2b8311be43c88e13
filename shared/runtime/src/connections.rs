//! The accept loop under every server: at most so many connections, none of them open without
//! speaking, each told to go when its time is over, all of them drained or dropped at the end.
//! Knows nothing of what is served.

mod complaints;
mod places;

use std::{
    error::Error,
    hash::{BuildHasher as _, RandomState},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{rt::TokioIo, server::conn::auto::Builder, service::TowerToHyperService};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_stream::StreamExt as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::server::TcpIncoming;
use tower::Service;

use self::{
    complaints::Complaints,
    places::{Place, Places},
};
use crate::{
    answers::Unsent,
    arrivals::{Arrivals, OfListener},
    calls::Calls,
    due::UntilDue,
    metrics::ConnectionMeter,
    outbox::Outbox,
    shutdown::Lifecycle,
};

/// After a failed accept (no descriptor left, say) the next one waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A client that has not sent this much has not even said which protocol it speaks (HTTP/2's
/// preface is 24 bytes).
const FIRST_BYTES: usize = 24;

/// How long a peer for which nothing more is done may take to say its goodbye when the process ends.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// The same where another one has its place. A call may be on its way for so long that will be answered.
const DISPLACED_GOODBYE_MAX: Duration = Duration::from_secs(5);

/// What one listener puts up with.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Connections open at once. One more gets the place of the one that has been at rest longest, or is
    /// closed as soon as it is accepted.
    pub max_connections: usize,
    /// How long a connection has to be at rest, without a call under way, before another one gets its place.
    /// It is asked to go then (GOAWAY), and what its client asked before it knew is answered.
    pub displaced_after: Duration,
    /// Requests that have begun and are still coming, without the first of each connection; one more is
    /// refused. Half of the places are for connections with fewer than 100 such requests.
    pub max_arriving: usize,
    /// How long a new connection may stay silent.
    pub first_bytes_timeout: Duration,
    /// How long a peer may take nothing of what there is to send to it.
    pub write_timeout: Duration,
    /// How long a silent peer is left alone before the kernel asks whether it is still there.
    pub tcp_keepalive: Duration,
    /// The age at which a connection is asked to go (GOAWAY; ±10 %, so that not all go at once).
    pub max_age: Option<Duration>,
    /// How long a connection that was asked to go for its age may still finish what it began.
    pub max_age_grace: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 4_000,
            displaced_after: Duration::from_secs(30),
            max_arriving: 5_000,
            first_bytes_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            tcp_keepalive: Duration::from_mins(1),
            max_age: None,
            max_age_grace: Duration::from_mins(1),
        }
    }
}

/// Accepts connections until the end is asked for, then drains them. `service_for` makes the
/// service of one connection. Returns when the last connection is closed; all are dropped when
/// there is no more time.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    protocol: impl Fn(Calls) -> Builder<Calls>,
    limits: &ConnectionLimits,
    meter: ConnectionMeter,
    life: &Lifecycle,
    service_for: impl Fn(SocketAddr, &Traffic) -> S,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let places = Places::new(limits, &meter);
    let arrivals = OfListener::new(limits.max_arriving);
    let mut complaints = Complaints::new();
    let open = TaskTracker::new();
    let mut incoming = TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .with_keepalive(Some(limits.tcp_keepalive));
    let mut ticks = interval(places.tick());
    // Whatever is late, a rest is never thought to be longer than it is.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            biased;
            () = life.soft().cancelled() => break,
            _ = ticks.tick() => {
                places.clock().tick();
                continue;
            }
            accepted = incoming.next() => accepted,
        };
        let Some(accepted) = accepted else { break };
        let Some((stream, peer)) = checked(accepted, life, &meter, &mut complaints).await else {
            continue;
        };
        let calls = Calls::by(places.clock().clone());
        let leave = life.soft().child_token();
        let Some(place) = places.take(&calls, &leave) else {
            meter.refused.inc();
            tracing::debug!(%peer, "connection refused: as many as allowed are open");
            continue;
        };
        let builder = protocol(calls.clone());
        let arrivals = Arrivals::new(Arc::clone(&arrivals));
        let traffic = Traffic { calls: calls.clone(), arrivals, unsent: Unsent::default() };
        let service = TowerToHyperService::new(service_for(peer, &traffic));
        let end = End { leave, life: life.clone(), _place: place };
        let connection = connection(stream, builder, service, traffic, limits.clone(), end);
        open.spawn(UntilDue::new(calls.within(connection)));
    }
    // Closes the listener: who comes now is refused by the kernel and can go elsewhere.
    drop(incoming);
    open.close();
    open.wait().await;
}

/// What a connection hears of its end.
struct End {
    /// It shall go, with the process or for another one. A token of its own, so that connections do not
    /// contend for one lock on every wake-up.
    leave: CancellationToken,
    life: Lifecycle,
    /// Held as long as it is open.
    _place: Place,
}

/// What is under way on a connection, what comes, and what could not go yet.
pub(crate) struct Traffic {
    pub calls: Calls,
    pub arrivals: Arrivals,
    pub unsent: Unsent,
}

async fn checked(
    accepted: io::Result<TcpStream>,
    life: &Lifecycle,
    meter: &ConnectionMeter,
    complaints: &mut Complaints,
) -> Option<(TcpStream, SocketAddr)> {
    match accepted {
        Ok(stream) => {
            let peer = stream.peer_addr().ok()?;
            Some((stream, peer))
        }
        Err(error) => {
            meter.failed.inc();
            complaints.hear(&error);
            life.soft().run_until_cancelled(sleep(ACCEPT_PAUSE)).await;
            None
        }
    }
}

async fn connection<S, B>(
    stream: TcpStream,
    builder: Builder<Calls>,
    service: TowerToHyperService<S>,
    traffic: Traffic,
    limits: ConnectionLimits,
    end: End,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Traffic { calls, arrivals, unsent } = traffic;
    let received = Arc::new(AtomicUsize::new(0));
    let outbox = Outbox::new(stream);
    let io = Heard { stream: outbox.clone(), received: Arc::clone(&received), arrivals, unsent };
    let mut served = pin!(
        outbox
            .clone()
            .sending(builder.serve_connection(TokioIo::new(io), service), limits.write_timeout)
    );
    {
        let asked_to_go = pin!(asked_to_go(&limits, &end, &received));
        tokio::select! {
            biased;
            result = served.as_mut() => return closed(result),
            order = asked_to_go => if order == Order::Drop { return },
        }
    }
    served.as_mut().connection().graceful_shutdown();
    // Once the whole process drains, its own limit ends this wait by `hard`.
    let End { leave, life, .. } = &end;
    let no_more_time = pin!(async {
        tokio::select! {
            () = life.hard().cancelled() => {}
            () = sleep(limits.max_age_grace), if !life.soft().is_cancelled() => {}
        }
    });
    let nothing_left = pin!(async {
        leave.cancelled().await;
        nothing_left(&calls, &outbox, &received, life).await;
    });
    tokio::select! {
        biased;
        result = served.as_mut() => closed(result),
        () = no_more_time => {}
        () = nothing_left => {}
    }
}

/// Ends when no call is under way, and nothing has come or gone for a while. A peer that is frozen never
/// answers the goodbye, and one that has sent half of a head never sends the rest.
async fn nothing_left(
    calls: &Calls,
    outbox: &Outbox<TcpStream>,
    received: &AtomicUsize,
    life: &Lifecycle,
) {
    let seen = || (calls.are_none(), outbox.all_taken(), received.load(Ordering::Relaxed));
    loop {
        let before = seen();
        let is_end = life.soft().is_cancelled();
        sleep(if is_end { GOODBYE_MAX } else { DISPLACED_GOODBYE_MAX }).await;
        if matches!(before, (true, Some(_), _)) && seen() == before {
            return;
        }
    }
}

#[derive(PartialEq)]
enum Order {
    Finish,
    Drop,
}

/// Ends when the connection shall, with how.
async fn asked_to_go(limits: &ConnectionLimits, end: &End, received: &AtomicUsize) -> Order {
    let silent = async {
        sleep(limits.first_bytes_timeout).await;
        if received.load(Ordering::Relaxed) >= FIRST_BYTES {
            std::future::pending::<()>().await;
        }
    };
    let aged = async {
        match limits.max_age {
            Some(age) => sleep(jittered(age)).await,
            None => std::future::pending().await,
        }
    };
    let hard = end.life.hard().child_token();
    tokio::select! {
        () = end.leave.cancelled() => match received.load(Ordering::Relaxed) {
            // Nobody has spoken yet, so there is nobody to say goodbye to.
            0 => Order::Drop,
            _ => Order::Finish,
        },
        () = hard.cancelled() => Order::Drop,
        () = silent => Order::Drop,
        () = aged => Order::Finish,
    }
}

/// 90 % to 110 % of it.
fn jittered(age: Duration) -> Duration {
    let draw = u32::try_from(RandomState::new().hash_one(age) % 21).unwrap_or(10);
    age * (90 + draw) / 100
}

/// How a connection ends is the client's affair as often as ours, so it is worth a debug line only.
fn closed(result: Result<(), Box<dyn Error + Send + Sync>>) {
    if let Err(error) = result {
        tracing::debug!(error = %crate::telemetry::chain(&*error), "connection ended");
    }
}

/// A stream that counts what it hears and what goes. It does not hear that this was all before the answer is
/// given that is owed for it.
struct Heard {
    stream: Outbox<TcpStream>,
    received: Arc<AtomicUsize>,
    arrivals: Arrivals,
    unsent: Unsent,
}

impl Heard {
    fn gone(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.unsent.sent(*bytes);
        }
        written
    }
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let more = buffer.filled().len() - before;
        if more == 0 && buffer.remaining() > 0 && self.arrivals.keep_back_end(context.waker()) {
            return Poll::Pending;
        }
        self.received.fetch_add(more, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.gone(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.gone(written)
    }
}
