//! HTTP/1.1 byte for byte, for what no decent client would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection on which anything can be said.
pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("the server listens");
    }

    /// Says no more, but still listens.
    pub async fn end(&mut self) {
        self.0.shutdown().await.expect("the connection is open");
    }

    /// Everything until the server closes.
    pub async fn hear_all(&mut self) -> String {
        let mut heard = Vec::new();
        // A reset is an end too.
        let _ = self.0.read_to_end(&mut heard).await;
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// Everything until this has been heard.
    pub async fn hear_until(&mut self, text: &str) -> String {
        let mut heard = String::new();
        let mut buffer = [0; 4096];
        while !heard.contains(text) {
            let bytes = self.0.read(&mut buffer).await.expect("the server speaks");
            assert!(bytes > 0, "the server closed after {heard:?}");
            heard.push_str(&String::from_utf8_lossy(&buffer[..bytes]));
        }
        heard
    }
}

/// Sends a request target as it is, and gives the status.
pub async fn raw(address: SocketAddr, method: &str, target: &str) -> u16 {
    let mut connection = Raw::connect(address).await;
    let head =
        format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    connection.say(head).await;
    let answer = connection.hear_all().await;
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}
