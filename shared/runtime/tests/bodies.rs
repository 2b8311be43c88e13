//! The bodies of requests are bounded together, whatever their clients do.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use configapi_runtime::{
    grpc::{self, CallLimits, GrpcLimits, GrpcServer, Health, Http2Limits, edge::RequestBody},
    metrics::Metrics,
    shutdown::Lifecycle,
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http_body_util::StreamBody;
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    server::{Grpc, NamedService},
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use super::support::{Caller, message, soon};

const SET: &str = "/configapi.v1.CommandService/Set";
const SET_MANY: &str = "/configapi.v1.CommandService/SetMany";
const LARGE_BYTES: usize = 340_000;
/// For three large ones, which count in steps of 64 KiB.
const MAX_BODY_BYTES: usize = 3 * (384 << 10);
/// What a client may send before it is read.
const STREAM_WINDOW: u32 = 64 << 10;

/// Counts the messages that it is given.
#[derive(Debug, Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Counting {
    async fn all_of(self, request: Request<Streaming<String>>) -> Result<Response<String>, Status> {
        let mut messages = request.into_inner();
        while messages.message().await?.is_some() {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Response::new("all".to_owned()))
    }

    fn one(&self) -> Response<String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Response::new("one".to_owned())
    }
}

impl NamedService for Counting {
    const NAME: &'static str = "configapi.v1.CommandService";
}

impl Service<http::Request<RequestBody<Incoming>>> for Counting {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<RequestBody<Incoming>>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
            let this = || this.clone();
            Ok(if request.uri().path() == SET {
                grpc.unary(
                    service_fn(|_: Request<String>| std::future::ready(Ok(this().one()))),
                    request,
                )
                .await
            } else {
                let all = service_fn(|asked| this().all_of(asked));
                grpc.client_streaming(all, request).await
            })
        })
    }
}

struct Server {
    address: SocketAddr,
    counting: Counting,
    life: Lifecycle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.life.abort("the test is over");
    }
}

impl Server {
    async fn start() -> Self {
        Self::with(CallLimits::default()).await
    }

    async fn with(calls: CallLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (counting, life) = (Counting::default(), Lifecycle::new(Duration::from_secs(30)));
        let calls = CallLimits { max_body_bytes: MAX_BODY_BYTES, ..calls };
        let http2 = Http2Limits { stream_window: STREAM_WINDOW, ..Http2Limits::default() };
        let server = GrpcServer {
            name: "counting",
            service: counting.clone(),
            descriptors: configapi_proto::FILE_DESCRIPTOR_SET,
            health: Health::default(),
            elsewhere: "",
            limits: GrpcLimits { calls, http2, ..GrpcLimits::default() },
        };
        let (metrics, lived) = (Metrics::new("test", "0"), life.clone());
        life.spawn_critical("server", async move {
            grpc::serve(listener, server, &metrics, &lived).await
        });
        Self { address, counting, life }
    }

    fn messages(&self) -> usize {
        self.counting.0.load(Ordering::SeqCst)
    }

    /// Sends this, and then nothing more, until it leaves. When this returns, all but what
    /// a client may send ahead was read.
    async fn begin(&self, path: &str, bytes: Bytes) -> Begun {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(stream))
            .await
            .expect("a handshake");
        let was_read = Arc::new(Notify::new());
        let reading = Arc::clone(&was_read);
        let (most, last) = (bytes.slice(..bytes.len() - 1), bytes.slice(bytes.len() - 1..));
        let begun = stream::iter([most]).chain(stream::once(async move {
            reading.notify_one();
            last
        }));
        let leave = Arc::new(Notify::new());
        let leaving = Arc::clone(&leave);
        let end = stream::once(async move {
            leaving.notified().await;
            Err(io::ErrorKind::BrokenPipe.into())
        });
        let frames: BoxStream<'static, io::Result<_>> =
            begun.map(|bytes| Ok(Frame::data(bytes))).chain(end).boxed();
        let request = http::Request::post(format!("http://test{path}"))
            .header("content-type", "application/grpc")
            .body(StreamBody::new(frames))
            .expect("a request");
        tokio::spawn(connection);
        let answer = tokio::spawn(sender.send_request(request));
        soon(was_read.notified()).await;
        Begun { leave, answer }
    }
}

/// A request that has begun.
struct Begun {
    /// Tells its client to leave.
    leave: Arc<Notify>,
    answer: JoinHandle<Result<http::Response<Incoming>, hyper::Error>>,
}

fn large() -> Bytes {
    message(&"x".repeat(LARGE_BYTES).encode_to_vec())
}

/// Whether there is room for so many large requests at once.
async fn has_room_for(requests: usize, caller: &Caller) -> bool {
    let all = (0..requests).map(|_| caller.ask_raw(SET, large(), &[]));
    let answers = futures_util::future::join_all(all).await;
    answers.iter().all(|answer| answer.code() == Code::Ok)
}

async fn is_refused(caller: &Caller) {
    let refused = caller.ask_raw(SET, large(), &[]).await;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.reason(), "LIMIT_EXCEEDED");
    assert!(refused.status.message().contains("try again"), "{}", refused.status.message());
}

#[tokio::test]
async fn requests_that_stop_take_room_until_their_clients_leave() {
    let server = Server::start().await;
    let caller = Caller::connect(server.address).await;
    let almost = large().slice(..LARGE_BYTES);
    for (path, begun) in [(SET, almost.clone()), (SET, large()), (SET_MANY, almost)] {
        let mut stopped = Vec::new();
        for _ in 0..3 {
            stopped.push(server.begin(path, begun.clone()).await);
        }
        is_refused(&caller).await;
        let before = server.messages();
        assert_eq!(caller.ask(SET, "small", &[]).await.items, ["one"]);
        is_refused(&caller).await;
        assert_eq!(server.messages(), before + 1, "of what was refused, nothing is done");
        for client in stopped {
            client.leave.notify_one();
        }
        soon(async { while !has_room_for(3, &caller).await {} }).await;
    }
}

#[tokio::test]
async fn a_long_stream_takes_no_more_room_than_its_largest_message() {
    const MESSAGES: usize = 50;
    let server = Server::start().await;
    let caller = Caller::connect(server.address).await;
    let all = large().repeat(MESSAGES);
    let answer = caller.ask_raw(SET_MANY, all.into(), &[]).await;
    assert_eq!((answer.items, server.messages()), (vec!["all".to_owned()], MESSAGES));

    let open = server.begin(SET_MANY, large().repeat(MESSAGES).into()).await;
    soon(async {
        while server.messages() < 2 * MESSAGES {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert!(has_room_for(2, &caller).await);
    assert!(!open.answer.is_finished());
}

#[tokio::test]
async fn a_stream_that_finds_no_room_for_a_message_is_told_so() {
    let server = Server::start().await;
    let caller = Caller::connect(server.address).await;
    let mut messages = message(&"small".to_owned().encode_to_vec()).to_vec();
    messages.extend_from_slice(&message(&"x".repeat(MAX_BODY_BYTES + 1).encode_to_vec()));
    let answer = caller.ask_raw(SET_MANY, messages.into(), &[]).await;
    assert_eq!((answer.code(), &*answer.reason()), (Code::ResourceExhausted, "LIMIT_EXCEEDED"));
    assert_eq!(server.messages(), 1, "what came before is done");
    assert_eq!(caller.ask(SET, "small", &[]).await.items, ["one"], "the connection goes on");
}

#[tokio::test]
async fn one_message_must_keep_coming_and_a_stream_of_them_need_not() {
    let request_pause_timeout = Duration::from_millis(50);
    let server = Server::with(CallLimits { request_pause_timeout, ..CallLimits::default() }).await;
    let small = message(&"small".to_owned().encode_to_vec());
    let stream = server.begin(SET_MANY, small).await;
    let half = large().slice(..LARGE_BYTES);
    let stopped = server.begin(SET, half).await.answer.await.expect("no panic");
    let told = Status::from_header_map(stopped.expect("an answer").headers()).expect("a status");
    assert_eq!(told.code(), Code::DeadlineExceeded);
    assert_eq!(told.message(), "the request came too slowly; nothing was done");
    assert!(!stream.answer.is_finished());
    assert_eq!(server.messages(), 1);
}
