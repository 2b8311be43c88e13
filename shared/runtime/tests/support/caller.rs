//! A gRPC client without opinions: it sends the headers it is given, enforces no deadline, and
//! shows all that comes back.

use std::{collections::HashMap, net::SocketAddr};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::{net::TcpStream, task::JoinHandle};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::soon;

/// One connection to a server.
pub struct Caller {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<Result<(), hyper::Error>>,
}

/// All of an answer.
#[derive(Debug)]
pub struct Answer {
    pub head: HeaderMap,
    pub items: Vec<String>,
    pub status: Status,
}

/// An answer that is coming.
pub struct Stream {
    response: Response<Incoming>,
    received: BytesMut,
    trailers: HeaderMap,
}

impl Caller {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::connect_with_window(address, 1 << 20).await
    }

    /// A client that takes so many bytes of each answer until it has read them.
    pub async fn connect_with_window(address: SocketAddr, window: u32) -> Self {
        Self::try_connect(address, window).await.expect("a handshake")
    }

    async fn try_connect(address: SocketAddr, window: u32) -> hyper::Result<Self> {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(window)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self { sender, connection: tokio::spawn(connection) })
    }

    /// A client that was answered once; none if the server closed its connection before.
    pub async fn served(address: SocketAddr) -> Option<Self> {
        let caller = Self::try_connect(address, 1 << 20).await.ok()?;
        let request = Request::post("http://test/").body(Full::default()).expect("a request");
        caller.send_or_fail(request).await.ok()?;
        Some(caller)
    }

    pub async fn ask(&self, path: &str, text: &str, headers: &[(&str, &str)]) -> Answer {
        self.open(path, text, headers).await.collect().await
    }

    pub async fn open(&self, path: &str, text: &str, headers: &[(&str, &str)]) -> Stream {
        soon(self.begin(path, text, headers)).await
    }

    /// Like open, but does not borrow, so that it can be spawned.
    pub fn begin(
        &self,
        path: &str,
        text: &str,
        headers: &[(&str, &str)],
    ) -> impl Future<Output = Stream> + use<> {
        self.begin_raw(path, message(&text.to_owned().encode_to_vec()), headers)
    }

    /// Like ask, with a body of any bytes.
    pub async fn ask_raw(&self, path: &str, body: Bytes, headers: &[(&str, &str)]) -> Answer {
        soon(self.begin_raw(path, body, headers)).await.collect().await
    }

    fn begin_raw(
        &self,
        path: &str,
        body: Bytes,
        headers: &[(&str, &str)],
    ) -> impl Future<Output = Stream> + use<> {
        let mut request = Request::post(format!("http://test{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        let response = self.send(request);
        async move {
            let response = response.await;
            Stream { response, received: BytesMut::new(), trailers: HeaderMap::new() }
        }
    }

    /// Sends any request of HTTP.
    pub fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Response<Incoming>> + use<> {
        let response = self.send_or_fail(request);
        async move { response.await.expect("an answer") }
    }

    /// The same, for a connection that may end before the answer.
    pub fn send_or_fail(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        soon(self.sender.clone().send_request(request))
    }

    /// Waits until the server has closed the connection.
    pub async fn closed(self) {
        drop(self.sender);
        // Whether it ended with an error does not matter, only that it did.
        let _ = soon(self.connection).await.expect("the connection does not panic");
    }
}

/// A message as it travels in a body: not compressed, with its length.
pub fn message(bytes: &[u8]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(bytes.len()).expect("short"));
    body.put_slice(bytes);
    body.freeze()
}

impl Stream {
    /// The next item; none at the end.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(item) = self.decode() {
                return Some(item);
            }
            let frame = soon(self.response.frame()).await?.expect("a frame");
            match frame.into_data() {
                Ok(data) => self.received.put(data),
                Err(frame) => self.trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
    }

    /// Whether the stream breaks off instead of ending.
    pub async fn breaks_off(mut self) -> bool {
        loop {
            match soon(self.response.frame()).await {
                None => return false,
                Some(Err(_)) => return true,
                Some(Ok(_)) => {}
            }
        }
    }

    pub async fn collect(mut self) -> Answer {
        let mut items = Vec::new();
        while let Some(item) = self.next().await {
            items.push(item);
        }
        let head = self.response.headers().clone();
        let status = Status::from_header_map(&self.trailers)
            .or_else(|| Status::from_header_map(&head))
            .expect("a status");
        Answer { head, items, status }
    }

    fn decode(&mut self) -> Option<String> {
        let length = usize::try_from(self.received[..].get(1..5)?.get_u32()).ok()?;
        if self.received.len() < 5 + length {
            return None;
        }
        self.received.advance(5);
        let message = self.received.split_to(length);
        Some(String::decode(message).expect("a message"))
    }
}

impl Answer {
    pub fn code(&self) -> Code {
        self.status.code()
    }

    pub fn reason(&self) -> String {
        let info = self.status.get_details_error_info().expect("every error has ErrorInfo");
        assert_eq!(info.domain, "configapi");
        assert_eq!(info.metadata, HashMap::new());
        info.reason
    }

    pub fn request_id(&self) -> Option<&str> {
        let trailing = self.status.metadata().get("x-request-id").and_then(|it| it.to_str().ok());
        self.head.get("x-request-id").and_then(|it| it.to_str().ok()).or(trailing)
    }
}
