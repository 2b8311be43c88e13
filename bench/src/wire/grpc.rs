//! A gRPC client that is `h2` and five bytes: no name resolution, no queue before the connection, no
//! retries, no tower of layers. The same for every server measured.

use std::{future::poll_fn, net::SocketAddr};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{Builder, SendRequest},
};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use prost::Message;
use tokio::net::TcpStream;

use super::CallError;

/// What an application's client would ask for: enough for a large list in one go.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// The compression flag and the length before each message.
const PREFIX_BYTES: usize = 5;
const GRPC_STATUS: &str = "grpc-status";

/// A method on a server; made once, used for every call.
#[derive(Debug, Clone)]
pub struct Method(Request<()>);

impl Method {
    /// The method at a path such as `/configapi.v1.QueryService/Get`.
    pub fn new(server: SocketAddr, path: &'static str) -> Result<Self, http::Error> {
        let uri = Uri::builder()
            .scheme("http")
            .authority(server.to_string())
            .path_and_query(path)
            .build()?;
        let mut request = Request::post(uri).version(http::Version::HTTP_2).body(())?;
        let headers = request.headers_mut();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Ok(Self(request))
    }
}

/// One HTTP/2 connection. Clones share it.
#[derive(Debug, Clone)]
pub struct Channel {
    requests: SendRequest<Bytes>,
}

impl Channel {
    /// Connects. Needs a tokio runtime, on which the connection lives.
    pub async fn connect(server: SocketAddr) -> Result<Self, CallError> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake::<_, Bytes>(stream)
            .await?;
        tokio::spawn(async move {
            // Its calls tell of its failure.
            let _ = connection.await;
        });
        Ok(Self { requests })
    }

    /// One request (framed), one answer, of which only the size in bytes is looked at.
    pub async fn count(&mut self, method: &Method, message: Bytes) -> Result<usize, CallError> {
        let mut bytes = 0;
        self.exchange(method, message, |chunk| bytes += chunk.len()).await?;
        if bytes < PREFIX_BYTES {
            return Err(CallError::Malformed("a unary answer without a message"));
        }
        Ok(bytes)
    }

    /// One request (framed), one answer.
    pub async fn unary<M: Message + Default>(
        &mut self,
        method: &Method,
        message: Bytes,
    ) -> Result<M, CallError> {
        let mut received = BytesMut::new();
        self.exchange(method, message, |chunk| received.extend_from_slice(&chunk)).await?;
        let message =
            take_message(&mut received)?.ok_or(CallError::Malformed("an incomplete message"))?;
        Ok(M::decode(message)?)
    }

    /// Opens a stream in both directions.
    pub async fn stream(
        &mut self,
        method: &Method,
        first: Bytes,
        client_is_done: bool,
    ) -> Result<(SendStream<Bytes>, Frames), CallError> {
        poll_fn(|context| self.requests.poll_ready(context)).await?;
        let (response, mut requests) = self.requests.send_request(method.0.clone(), false)?;
        requests.send_data(first, client_is_done)?;
        let (head, body) = response.await?.into_parts();
        begun_well(head.status, &head.headers)?;
        Ok((requests, Frames { body, received: BytesMut::new() }))
    }

    async fn exchange(
        &mut self,
        method: &Method,
        message: Bytes,
        mut on_data: impl FnMut(Bytes),
    ) -> Result<(), CallError> {
        poll_fn(|context| self.requests.poll_ready(context)).await?;
        let (response, mut request) = self.requests.send_request(method.0.clone(), false)?;
        request.send_data(message, true)?;
        let (head, mut body) = response.await?.into_parts();
        begun_well(head.status, &head.headers)?;
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            on_data(chunk);
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        ended_well(&trailers)
    }
}

/// The messages that come down a stream.
#[derive(Debug)]
pub struct Frames {
    body: RecvStream,
    received: BytesMut,
}

impl Frames {
    /// The next message; `None` once the server has ended the stream with success.
    pub async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, CallError> {
        loop {
            if let Some(message) = take_message(&mut self.received)? {
                return Ok(Some(M::decode(message)?));
            }
            let Some(chunk) = self.body.data().await else {
                let trailers = self.body.trailers().await?.unwrap_or_default();
                return ended_well(&trailers).map(|()| None);
            };
            let chunk = chunk?;
            self.body.flow_control().release_capacity(chunk.len())?;
            self.received.extend_from_slice(&chunk);
        }
    }
}

/// A message as it travels.
pub fn frame(message: &impl Message) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.encoded_len());
    frame_into(&mut framed, message);
    framed.freeze()
}

/// Appends a message as it travels.
pub fn frame_into(framed: &mut BytesMut, message: &impl Message) {
    let length = message.encoded_len();
    framed.reserve(PREFIX_BYTES + length);
    framed.put_u8(0);
    // Nothing here comes near 4 GiB.
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(framed);
}

fn take_message(received: &mut BytesMut) -> Result<Option<BytesMut>, CallError> {
    let &[compressed, a, b, c, d, ..] = &received[..] else {
        return Ok(None);
    };
    if compressed != 0 {
        return Err(CallError::Malformed("a compressed message that nobody asked for"));
    }
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if received.len() - PREFIX_BYTES < length {
        return Ok(None);
    }
    received.advance(PREFIX_BYTES);
    Ok(Some(received.split_to(length)))
}

/// An answer that failed before its first message says so in its headers.
fn begun_well(status: StatusCode, headers: &HeaderMap) -> Result<(), CallError> {
    if status != StatusCode::OK {
        let message = "HTTP status instead of a gRPC answer".to_owned();
        return Err(CallError::Status { code: status.as_u16(), message });
    }
    if headers.contains_key(GRPC_STATUS) { ended_well(headers) } else { Ok(()) }
}

fn ended_well(trailers: &HeaderMap) -> Result<(), CallError> {
    let text = |name| trailers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match text(GRPC_STATUS) {
        Some("0") => Ok(()),
        Some(code) => {
            let message = text("grpc-message").unwrap_or_default().to_owned();
            Err(CallError::Status { code: code.parse().unwrap_or(u16::MAX), message })
        }
        None => Err(CallError::Malformed("no status")),
    }
}
