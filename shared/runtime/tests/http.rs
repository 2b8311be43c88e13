//! The HTTP server around a small router, seen by a client that writes bytes.

use std::{error::Error as _, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{Request, StatusCode},
    response::Response,
    routing::{any, get, post},
};
use configapi_runtime::{
    connections::ConnectionLimits,
    http::{self, Endless, HttpLimits, InPieces, Interrupted, admin},
    metrics::Metrics,
    shutdown::{Exit, Lifecycle},
};
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

use tower::layer::util::Identity;

use super::support::{soon, until};

/// Less than an answer must have to be large.
const SMALL_BYTES: usize = 16_000;
/// More than the system takes for a client that does not read.
pub const LARGE_BYTES: usize = 32 << 20;

/// How many pieces there are of an answer that comes in pieces, and how large each is.
const PIECES: usize = 3;
const PIECE_BYTES: usize = 12 << 20;

async fn pieces() -> Response {
    let pieces = [(); PIECES].map(|()| Ok::<_, std::io::Error>(vec![b'x'; PIECE_BYTES]));
    let mut response = Response::new(Body::from_stream(stream::iter(pieces)));
    response.extensions_mut().insert(InPieces { first_bytes: PIECE_BYTES });
    response
}

/// A piece of so many bytes, and one more when the gate is opened.
fn endless(bytes: usize, gate: Arc<Notify>) -> Response {
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; bytes]))]);
    let last = stream::once(async move {
        gate.notified().await;
        Ok(Bytes::from_static(b"open"))
    });
    let mut response = Response::new(Body::from_stream(first.chain(last)));
    response.extensions_mut().insert(Endless { last_words: Bytes::from_static(b"no room") });
    response
}

/// A handler that has its own words for a sender that is too slow.
async fn noticed(body: Body) -> (StatusCode, &'static str) {
    let Err(error) = to_bytes(body, usize::MAX).await else { return (StatusCode::OK, "all of it") };
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    if causes.any(|cause| matches!(cause.downcast_ref(), Some(Interrupted::TooSlow))) {
        (StatusCode::REQUEST_TIMEOUT, "do hurry")
    } else {
        (StatusCode::BAD_REQUEST, "broken")
    }
}

pub struct HttpServer {
    pub listener_address: std::net::SocketAddr,
    life: Lifecycle,
    pub metrics: Metrics,
    pub gate: Arc<Notify>,
    pub reached: Arc<Notify>,
    finished: JoinHandle<Exit>,
}

impl HttpServer {
    pub async fn start(limits: HttpLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let listener_address = listener.local_addr().expect("an address");
        let life = Lifecycle::new(Duration::from_secs(30));
        let metrics = Metrics::new("test", "0");
        let (gate, reached) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (behind, before) = (Arc::clone(&gate), Arc::clone(&reached));
        let (of_endless, of_small) = (Arc::clone(&gate), Arc::clone(&gate));
        let router = Router::new()
            .route("/items/{name}", get(async || "an item"))
            .route("/panic", get(async || -> &'static str { panic!("asked to") }))
            .route("/small", get(async || vec![b'x'; SMALL_BYTES]))
            .route("/large", get(async || vec![b'x'; LARGE_BYTES]))
            .route("/pieces", get(pieces))
            .route("/endless", get(async move || endless(LARGE_BYTES, of_endless)))
            .route("/endless-small", get(async move || endless(1, of_small)))
            .route("/echo", post(async |body: Bytes| body))
            .route("/noticed", post(noticed))
            .route(
                "/gate",
                any(async move |_: Bytes| {
                    before.notify_one();
                    behind.notified().await;
                    "open"
                }),
            );
        let (counted, lived) = (metrics.clone(), life.clone());
        life.spawn(async move {
            http::serve("rest", listener, router, |_| Identity::new(), &limits, &counted, &lived)
                .await;
        });
        let finished = tokio::spawn(life.clone().finish());
        Self { listener_address, life, metrics, gate, reached, finished }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.listener_address).await.expect("a connection")
    }

    /// Sends these bytes and returns all that comes back until the server closes.
    pub async fn exchange(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.expect("written");
        all_of(&mut stream).await
    }
}

async fn all_of(stream: &mut TcpStream) -> String {
    let mut received = String::new();
    soon(stream.read_to_string(&mut received)).await.expect("text");
    received
}

pub fn get_once(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn an_answer_bears_the_request_id_and_is_counted_under_its_route() {
    let server = HttpServer::start(HttpLimits::default()).await;
    let request =
        "GET /items/a HTTP/1.1\r\nhost: test\r\nx-request-id: my-own\r\nconnection: close\r\n\r\n";
    let answer = server.exchange(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("x-request-id: my-own\r\n"), "{answer}");
    assert!(server.exchange(&get_once("/nothing")).await.contains("404 Not Found"));
    let page = server.metrics.render().expect("renders");
    for line in [
        r#"http_server_requests_total{method="GET",route="/items/{name}",status="200"} 1"#,
        r#"http_server_requests_total{method="GET",route="none",status="404"} 1"#,
    ] {
        assert!(page.contains(line), "{page}");
    }
}

#[tokio::test]
async fn each_answer_is_counted_once_by_its_method_and_status() {
    let server = HttpServer::start(HttpLimits::default()).await;
    let head = get_once("/items/a").replace("GET", "HEAD");
    for request in [&get_once("/items/a"), &head, &get_once("/items/b"), &get_once("/panic")] {
        server.exchange(request).await;
    }
    server.exchange(&get_once("/panic")).await;
    let page = server.metrics.render().expect("renders");
    for line in [
        r#"http_server_requests_total{method="GET",route="/items/{name}",status="200"} 2"#,
        r#"http_server_requests_total{method="HEAD",route="/items/{name}",status="200"} 1"#,
        r#"http_server_requests_total{method="GET",route="/panic",status="500"} 2"#,
        r#"http_server_request_duration_seconds_count{method="GET",route="/items/{name}",status="200"} 2"#,
        r#"http_server_request_duration_seconds_count{method="HEAD",route="/items/{name}",status="200"} 1"#,
        r#"http_server_request_duration_seconds_count{method="GET",route="/panic",status="500"} 2"#,
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
    assert!(!page.contains(r#"route="/panic",status="200""#), "{page}");
}

#[tokio::test]
async fn a_panic_is_answered_and_the_server_goes_on() {
    let server = HttpServer::start(HttpLimits::default()).await;
    let answer = server.exchange(&get_once("/panic")).await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
    assert!(server.exchange(&get_once("/items/a")).await.ends_with("an item"));
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_cut_off() {
    let header_read_timeout = Duration::from_millis(50);
    let limits = HttpLimits { header_read_timeout, ..HttpLimits::default() };
    let server = HttpServer::start(limits).await;
    let answer = server.exchange("GET /items/a HTTP/1.1\r\nhost: test\r\nx-slow").await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_answered_408() {
    let body_pause_timeout = Duration::from_millis(50);
    let limits = HttpLimits { body_pause_timeout, ..HttpLimits::default() };
    let server = HttpServer::start(limits).await;
    let answer = server
        .exchange("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf")
        .await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_handler_may_say_in_its_own_words_that_a_body_stopped_coming() {
    let body_pause_timeout = Duration::from_millis(50);
    let limits = HttpLimits { body_pause_timeout, ..HttpLimits::default() };
    let server = HttpServer::start(limits).await;
    let answer = server
        .exchange("POST /noticed HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf")
        .await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.ends_with("do hurry"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_that_takes_too_long_in_all_is_answered_408() {
    let limits = HttpLimits { body_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let server = HttpServer::start(limits).await;
    let mut stream = server.connect().await;
    let head = "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("written");
    // A byte a millisecond never pauses for long; only the total stops it.
    let (mut from, mut to) = stream.split();
    let trickle = async {
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let mut status = [0; 12];
    let answered = from.read_exact(&mut status);
    // What was answered before the connection was closed is read all the same.
    let (read, ()) = tokio::join!(soon(answered), trickle);
    read.expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 408");
}

#[tokio::test]
async fn more_headers_than_allowed_are_refused() {
    let limits = HttpLimits { max_headers: 5, ..HttpLimits::default() };
    let server = HttpServer::start(limits).await;
    let many = "a: b\r\n".repeat(10);
    let answer = server.exchange(&format!("GET /items/a HTTP/1.1\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_server_ends() {
    let server = HttpServer::start(HttpLimits::default()).await;
    let mut kept_alive = server.connect().await;
    let mut busy = server.connect().await;
    kept_alive.write_all(b"GET /items/a HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("written");
    busy.write_all(b"GET /gate HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("written");
    soon(server.reached.notified()).await;
    server.life.begin_shutdown("the test says so");
    assert!(all_of(&mut kept_alive).await.ends_with("an item"));
    server.gate.notify_one();
    assert!(all_of(&mut busy).await.ends_with("open"));
    assert_eq!(soon(server.finished).await.expect("no panic"), Exit::Clean);
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_gone_after_a_while() {
    let write_timeout = Duration::from_secs(1);
    let connections = ConnectionLimits { write_timeout, ..ConnectionLimits::default() };
    let server = HttpServer::start(HttpLimits { connections, ..HttpLimits::default() }).await;
    let mut idle = server.connect().await;
    let mut reading = server.connect().await;
    for stream in [&mut idle, &mut reading] {
        stream.write_all(get_once("/large").as_bytes()).await.expect("written");
    }
    let mut first = [0; 12];
    soon(idle.read_exact(&mut first)).await.expect("the answer begins");
    assert_eq!(&first, b"HTTP/1.1 200");
    assert!(all_of(&mut reading).await.len() > LARGE_BYTES, "who reads gets all of it");
    let open = r#"configapi_connections{server="rest"} 0"#;
    until(|| server.metrics.render().expect("renders").contains(open)).await;
}

#[tokio::test]
async fn more_bytes_of_answers_than_allowed_are_refused() {
    let max_answer_bytes = LARGE_BYTES + LARGE_BYTES / 2;
    let server = HttpServer::start(HttpLimits { max_answer_bytes, ..HttpLimits::default() }).await;
    let mut idle = server.connect().await;
    idle.write_all(get_once("/large").as_bytes()).await.expect("written");
    soon(idle.read_exact(&mut [0; 12])).await.expect("the answer begins");
    let refused = server.exchange(&get_once("/large")).await;
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(server.exchange(&get_once("/items/a")).await.ends_with("an item"));
    assert!(all_of(&mut idle).await.len() > LARGE_BYTES - 12);
    assert!(server.exchange(&get_once("/large")).await.len() > LARGE_BYTES);
}

/// The beginning of an answer to a client over HTTP/2 that takes this many bytes until it reads.
pub async fn begun(server: &HttpServer, path: &str, window: u32) -> hyper::Response<Incoming> {
    let stream = TokioIo::new(server.connect().await);
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(stream)
        .await
        .expect("a handshake");
    tokio::spawn(connection);
    let request = Request::get(format!("http://test{path}")).body(Empty::<Bytes>::new());
    soon(sender.send_request(request.expect("a request"))).await.expect("an answer")
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up_in_one_piece_or_in_several() {
    let answer_timeout = Duration::from_secs(1);
    let server = HttpServer::start(HttpLimits { answer_timeout, ..HttpLimits::default() }).await;
    for path in ["/large", "/pieces"] {
        let unread = begun(&server, path, 0).await;
        soon(unread.into_body().collect()).await.expect_err(path);
    }
}

#[tokio::test]
async fn answers_in_pieces_count_with_the_others() {
    let max_answer_bytes = PIECE_BYTES + PIECE_BYTES / 2;
    let server = HttpServer::start(HttpLimits { max_answer_bytes, ..HttpLimits::default() }).await;
    let unread = begun(&server, "/pieces", 0).await;
    assert_eq!(unread.status(), 200);
    for path in ["/pieces", "/large"] {
        assert_eq!(begun(&server, path, 0).await.status(), 429, "{path}");
    }
    drop(unread);
    let read = soon(async {
        loop {
            let answer = begun(&server, "/pieces", 1 << 16).await;
            if answer.status() == 200 {
                return answer.into_body().collect().await.expect("who reads gets all of it");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert_eq!(read.await.to_bytes().len(), PIECES * PIECE_BYTES);
}

#[tokio::test]
async fn half_a_head_does_not_hold_up_the_end() {
    let server = HttpServer::start(HttpLimits::default()).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    first.write_all(b"G").await.expect("written");
    second.write_all(b"GET /items/a HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("written");
    soon(second.read_exact(&mut [0; 12])).await.expect("the answer begins");
    second.write_all(b"GET /items").await.expect("written");
    let open = r#"configapi_connections{server="rest"} 2"#;
    until(|| server.metrics.render().expect("renders").contains(open)).await;
    server.life.begin_shutdown("the test says so");
    assert_eq!(soon(server.finished).await.expect("no panic"), Exit::Clean);
}

#[tokio::test]
async fn admin_tells_metrics_liveness_and_readiness() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (life, metrics) = (Lifecycle::default(), Metrics::new("test", "1.2.3"));
    let not_ready: admin::Ready = Arc::new(|| Err("catching up".to_owned()));
    let (counted, lived) = (metrics.clone(), life.clone());
    life.spawn(async move { admin::serve(listener, &counted, &lived, not_ready).await });
    let ask = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(get_once(path).as_bytes()).await.expect("written");
        all_of(&mut stream).await
    };
    assert!(ask("/livez").await.starts_with("HTTP/1.1 200 "));
    let readiness = ask("/readyz").await;
    assert!(readiness.starts_with("HTTP/1.1 503 "), "{readiness}");
    assert!(readiness.ends_with("catching up\n"), "{readiness}");
    let page = ask("/metrics").await;
    assert!(page.contains(r#"configapi_build_info{service="test",version="1.2.3"} 1"#), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
    if cfg!(target_os = "linux") {
        for name in
            ["process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds "]
        {
            assert!(page.contains(name), "{page}");
        }
    }
}
