//! A way to a server that can be cut, to see what a client does then.

use std::net::{SocketAddr, TcpListener as StdListener};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// A way to a server.
pub struct Proxy {
    pub address: SocketAddr,
    cuts: watch::Sender<u64>,
}

impl Proxy {
    /// Opens the way.
    pub fn start(runtime: &Handle, to: SocketAddr) -> Self {
        Self::cutting_after(runtime, to, None)
    }

    /// Opens the way; each connection in turn is cut after so many bytes to the server, while there
    /// are such numbers.
    pub fn cutting_after(
        runtime: &Handle,
        to: SocketAddr,
        bytes: impl IntoIterator<Item = u64>,
    ) -> Self {
        let listener = StdListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, _) = watch::channel(0);
        let mut limits: Vec<_> = bytes.into_iter().collect();
        limits.reverse();
        let all_cuts = cuts.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let limit = limits.pop().unwrap_or(u64::MAX);
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

async fn carry(client: TcpStream, to: SocketAddr, limit: u64) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let (client_reads, mut client_writes) = client.into_split();
    let (mut server_reads, mut server_writes) = server.into_split();
    let mut limited = client_reads.take(limit);
    tokio::select! {
        _ = copy(&mut limited, &mut server_writes) => {}
        _ = copy(&mut server_reads, &mut client_writes) => {}
    }
    let _ = client_writes.shutdown().await;
}
