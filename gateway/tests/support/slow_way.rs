//! A long way to a server: what is sent over it arrives whole and in order, but late.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Parts that may be under way at a time in one direction.
const PARTS: usize = 1024;

/// An address from where everything takes so long to this server, and so long back.
pub async fn slow_way_to(server: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = TcpStream::connect(server).await?.into_split();
                tokio::try_join!(
                    carry(near_read, far_write, delay),
                    carry(far_read, near_write, delay),
                )
            });
        }
    });
    address
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
) -> io::Result<()> {
    let (parts, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(PARTS);
    let take = async {
        loop {
            let mut part = Vec::new();
            if from.read_buf(&mut part).await? == 0
                || parts.send((Instant::now() + delay, part)).await.is_err()
            {
                drop(parts);
                return Ok::<_, io::Error>(());
            }
        }
    };
    let bring = async {
        while let Some((due, part)) = under_way.recv().await {
            sleep_until(due).await;
            to.write_all(&part).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(take, bring).map(drop)
}
