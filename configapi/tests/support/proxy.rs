//! A way to a server that can be cut, to see what a client does then.

use std::future::pending;
use std::net::{SocketAddr, TcpListener as StdListener};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What happens to a connection after so many bytes to the server.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    /// Nothing.
    None,
    /// It is cut.
    CutAfter(u64),
    /// It stays, but nothing more gets through to the server.
    StallAfter(u64),
}

/// A way to a server.
pub struct Proxy {
    pub address: SocketAddr,
    cuts: watch::Sender<u64>,
}

impl Proxy {
    /// Opens the way; each connection in turn meets its limit, while there are limits.
    pub fn start(
        runtime: &Handle,
        to: SocketAddr,
        limits: impl IntoIterator<Item = Limit>,
    ) -> Self {
        let listener = StdListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, _) = watch::channel(0);
        let mut limits: Vec<_> = limits.into_iter().collect();
        limits.reverse();
        let all_cuts = cuts.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let limit = limits.pop().unwrap_or(Limit::None);
                let mut cut = all_cuts.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(client, to, limit) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, cuts }
    }

    /// Cuts all connections there are.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn carry(client: TcpStream, to: SocketAddr, limit: Limit) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (client_reads, mut client_writes) = client.into_split();
    let (mut server_reads, mut server_writes) = server.into_split();
    let (bytes, stalls) = match limit {
        Limit::None => (u64::MAX, false),
        Limit::CutAfter(bytes) => (bytes, false),
        Limit::StallAfter(bytes) => (bytes, true),
    };
    let there = async {
        let _ = copy(&mut client_reads.take(bytes), &mut server_writes).await;
        if stalls {
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = there => {}
        _ = copy(&mut server_reads, &mut client_writes) => {}
    }
    let _ = client_writes.shutdown().await;
}
