//! An HTTP/1.1 client on one kept-alive connection: writes bytes that were put together before, reads
//! one answer with a known length.

use std::net::SocketAddr;

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::CallError;

const MAX_HEADERS: usize = 32;
const READ_BYTES: usize = 16 * 1024;

/// One connection, one request at a time.
#[derive(Debug)]
pub struct HttpConnection {
    stream: TcpStream,
    received: BytesMut,
}

impl HttpConnection {
    /// Connects.
    pub async fn connect(server: SocketAddr) -> Result<Self, CallError> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: BytesMut::with_capacity(READ_BYTES) })
    }

    /// Sends a whole request and reads the answer; anything but a 200 is an error.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(), CallError> {
        self.stream.write_all(request).await?;
        let (status, head_bytes, body_bytes) = loop {
            if let Some(head) = parse_head(&self.received)? {
                break head;
            }
            self.read_more().await?;
        };
        self.received.advance(head_bytes);
        while self.received.len() < body_bytes {
            self.read_more().await?;
        }
        let body = self.received.split_to(body_bytes);
        if status != 200 {
            let message = String::from_utf8_lossy(&body).into_owned();
            return Err(CallError::Status { code: status, message });
        }
        Ok(())
    }

    async fn read_more(&mut self) -> Result<(), CallError> {
        self.received.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(CallError::Malformed("the connection was closed within an answer")),
            _ => Ok(()),
        }
    }
}

/// The status, the size of the head and the size of the body, once the head is complete.
fn parse_head(received: &[u8]) -> Result<Option<(u16, usize, usize)>, CallError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed =
        response.parse(received).map_err(|_broken| CallError::Malformed("not an HTTP head"))?;
    let httparse::Status::Complete(head_bytes) = parsed else {
        return Ok(None);
    };
    let status = response.code.ok_or(CallError::Malformed("no status"))?;
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok())
        .ok_or(CallError::Malformed("no content-length"))?;
    Ok(Some((status, head_bytes, length)))
}
