//! Answers for a server whose store is not there yet. A client that waits for an answer cannot tell a
//! server that starts from one that hangs; so it is refused at once, and told why.

use std::{error::Error, future::Future, io, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, body::Body};
use configapi_proto::{ApiError, Reason};
use tokio::{net::TcpListener, time::timeout};
use tonic::Status;
use tower::layer::util::Identity;

use crate::{
    connections::ConnectionLimits,
    http::{HttpLimits, admin::Ready, serve},
    metrics::Metrics,
    shutdown::Lifecycle,
};

/// What is there so soon needs nobody in its place.
const SOON: Duration = Duration::from_millis(200);
/// Enough for probes, and for clients that are told to come again.
const MAX_CONNECTIONS: usize = 100;
/// How long answers that were begun may take once the server itself is there.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// An address that a server listens on once it can serve.
#[derive(Debug)]
pub struct Reserved(std::net::TcpListener);

impl Reserved {
    /// Keeps the address of this listener.
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        listener.into_std().map(Self)
    }

    /// Which address that is.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// For the server itself.
    pub fn take(self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.0)
    }

    /// Answers there by this router until what is returned is dropped.
    pub fn stand_in(
        &self,
        name: &'static str,
        router: Router,
        life: &Lifecycle,
    ) -> io::Result<StandIn> {
        let listener = TcpListener::from_std(self.0.try_clone()?)?;
        let own = Lifecycle::new(DRAIN_LIMIT);
        life.spawn(answer(name, listener, router, own.clone(), life.clone()));
        Ok(StandIn { life: own })
    }
}

/// Who answers in the place of a server. Its address is the server's as soon as this is dropped.
#[derive(Debug)]
pub struct StandIn {
    life: Lifecycle,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.life.soft().cancel();
    }
}

async fn answer(
    name: &'static str,
    listener: TcpListener,
    router: Router,
    own: Lifecycle,
    process: Lifecycle,
) {
    let connections =
        ConnectionLimits { max_connections: MAX_CONNECTIONS, ..ConnectionLimits::default() };
    let limits = HttpLimits { connections, ..HttpLimits::default() };
    // The server counts what it is asked, under the same names; this is not it yet.
    let uncounted = Metrics::new(name, "");
    let server = serve(name, listener, router, |_| Identity::new(), &limits, &uncounted, &own);
    let mut server = pin!(server);
    tokio::select! {
        () = &mut server => return,
        () = own.soft().cancelled() => {}
        () = process.soft().cancelled() => own.soft().cancel(),
    }
    if timeout(own.drain_limit(), server).await.is_err() {
        own.hard().cancel();
    }
}

/// Waits for what a server needs; if that is not there soon, somebody answers in its place until it is.
pub async fn until<T, S>(
    opening: impl Future<Output = T>,
    stand_in: impl FnOnce() -> io::Result<S>,
) -> Result<T, Box<dyn Error + Send + Sync>> {
    let mut opening = pin!(opening);
    if let Ok(opened) = timeout(SOON, &mut opening).await {
        return Ok(opened);
    }
    let _stand_in = stand_in()?;
    Ok(opening.await)
}

/// Refuses every gRPC call, health checks included, for the reason that `ready` tells.
pub fn refusing_calls(ready: Ready) -> Router {
    Router::new().fallback(move || {
        let status = Status::from(refusal(&ready));
        async move { status.into_http::<Body>() }
    })
}

/// Why nothing can be answered yet.
pub fn refusal(ready: &Ready) -> ApiError {
    let why = ready().err().unwrap_or_else(|| "the server has just started".to_owned());
    ApiError::new(Reason::Unavailable, why)
}
