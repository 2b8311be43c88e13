//! The channel to a server elsewhere, which puts the calls that go over it into traces.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use configapi_runtime::trace::{self, Span, TRACEPARENT};
use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::Service;

type BoxError = Box<dyn Error + Send + Sync>;
type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

/// One way to one server. Clones are the same way.
#[derive(Debug, Clone)]
pub(crate) struct Transport(Channel);

impl Transport {
    pub fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let (mut head, body) = request.into_parts();
        // Ours are the only paths that come here.
        let span = begin_span(head.uri.path(), &mut head.headers);
        let answering = self.0.call(Request::from_parts(head, body));
        Box::pin(async move {
            let answer = answering.await.map_err(Into::into);
            if let Some(span) = span {
                span.end_call(code_of(&answer), false);
            }
            answer
        })
    }
}

/// A span of a call to the method at this path, within which the server does what it does.
pub(super) fn begin_span(path: &str, headers: &mut HeaderMap) -> Option<Span> {
    let parent = trace::sent_in(headers).and_then(|sent| sent.to_str().ok());
    let mut span = trace::client(|| path.trim_start_matches('/').to_owned(), parent)?;
    span.set("rpc.system", "grpc");
    if let Some(traceparent) = span.traceparent() {
        headers.insert(TRACEPARENT, traceparent);
    }
    Some(span)
}

/// How a call went, as far as the head of its answer tells: failures are told there.
fn code_of(answer: &Result<Response<Body>, BoxError>) -> Code {
    let told = |headers: &HeaderMap| Status::from_header_map(headers).map(|status| status.code());
    answer.as_ref().map_or(Code::Unavailable, |answer| told(answer.headers()).unwrap_or(Code::Ok))
}
