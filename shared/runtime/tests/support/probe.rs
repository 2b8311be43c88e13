//! A service whose callers say what it shall do. It borrows the name and methods of a real one, so
//! that it is described.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use configapi_runtime::grpc::{
    FRAME_BYTES, Framed,
    edge::{Call, RequestBody},
};
use hyper::body::Incoming;
use prost::Message as _;
use tokio::sync::Notify;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::CompressionEncoding,
    server::{Grpc, NamedService},
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

pub const GET: &str = "/configapi.v1.QueryService/Get";
/// More than an answer may have and still be small.
pub const LARGE_BYTES: usize = 300_000;
pub const WATCH: &str = "/configapi.v1.QueryService/Watch";

/// Makes the probe answer in a frame of its own.
pub const FRAMED: (&str, &str) = ("framed", "yes");

/// The largest message that the probe takes.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

pub type Items = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// What the tests see of the service's inside.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    calls: Arc<AtomicUsize>,
    gate: Arc<Notify>,
}

impl Probe {
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Lets one call that waits at the gate go on.
    pub fn open_gate(&self) {
        self.gate.notify_one();
    }

    pub async fn ask(self, request: Request<String>) -> Result<Response<String>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let call = Call::of(&request).expect("every call comes through the edge").clone();
        match request.get_ref().as_str() {
            "hang" => std::future::pending().await,
            "wait at the gate" => self.gate.notified().await,
            "wait for the deadline" => {
                tokio::time::sleep_until(call.deadline()).await;
                // Answering takes a moment too.
                tokio::task::yield_now().await;
            }
            "panic" => panic!("asked to"),
            "panic with a secret" => panic!("cannot slice {}", request.get_ref()),
            "fail" => return Err(Status::not_found("asked to")),
            "name" => return Ok(Response::new(call.request_id().to_owned())),
            "trace" => return Ok(Response::new(call.trace_id().unwrap_or("none").to_owned())),
            _ => {}
        }
        let is_framed = request.metadata().contains_key(FRAMED.0) && call.takes_framed();
        let text = request.into_inner();
        Ok(if is_framed { framed(&text) } else { Response::new(text) })
    }

    pub fn listen(&self, request: Request<String>) -> Response<Items> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let text = request.into_inner();
        let first = tokio_stream::once(Ok(text.clone()));
        let gate = Arc::clone(&self.gate);
        let rest = futures_util::stream::once(async move {
            match text.as_str() {
                "hang" => std::future::pending().await,
                _ => gate.notified().await,
            }
            assert!(text != "panic", "asked to");
            Ok("last".to_owned())
        });
        Response::new(Box::pin(first.chain(rest)))
    }
}

fn framed(text: &str) -> Response<String> {
    let mut bytes = vec![0xff; FRAME_BYTES];
    text.to_owned().encode(&mut bytes).expect("room");
    let mut response = Response::new("not this".to_owned());
    response.extensions_mut().insert(Framed::take(&mut bytes).expect("room for a frame"));
    response
}

impl NamedService for Probe {
    const NAME: &'static str = "configapi.v1.QueryService";
}

impl Service<http::Request<RequestBody<Incoming>>> for Probe {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<RequestBody<Incoming>>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<String, String>::default())
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MAX_MESSAGE_BYTES);
            Ok(match request.uri().path() {
                GET => grpc.unary(service_fn(|asked| this.clone().ask(asked)), request).await,
                WATCH => {
                    let listen = service_fn(|asked| std::future::ready(Ok(this.listen(asked))));
                    grpc.server_streaming(listen, request).await
                }
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}
