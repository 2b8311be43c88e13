//! How calls get to a server: over a channel to one elsewhere, or straight into one of this
//! process, without the form of the wire in between.

use std::pin::Pin;
use std::sync::Arc;

use configapi_runtime::grpc::edge::EdgeLayer;
use futures_util::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status};

use super::Along;
use super::transport::begin_span;

/// A call that is under way.
pub(super) type Calling<'a, T> =
    Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

/// An answer that is a stream.
pub(crate) type Frames<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

/// The way to one server: the generated client of its service, or the service itself.
pub(crate) enum Way<C, S: ?Sized> {
    Remote(C),
    Local(Local<S>),
}

impl<C, S: ?Sized> Way<C, S> {
    /// Whether the server may go away without this process.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }
}

/// A service of this process. The edge gives its calls what a listener would.
pub(crate) struct Local<S: ?Sized> {
    service: Arc<S>,
    edge: EdgeLayer,
}

impl<S: ?Sized> Local<S> {
    pub fn new(service: Arc<S>, edge: EdgeLayer) -> Self {
        Self { service, edge }
    }

    /// Calls the method at this path.
    pub async fn call<T, R>(
        &self,
        path: &str,
        along: &Along,
        message: T,
        method: impl FnOnce(&S, Request<T>) -> Calling<'_, R>,
    ) -> Result<R, Status> {
        let method = |request| method(&self.service, request);
        let call = |request| self.edge.within(path, request, Some(along.until()), method);
        traced(path, along.request(message), call).await
    }

    /// Calls the method at this path, whose answer is a stream, which no deadline ends.
    pub async fn open<T, M: 'static>(
        &self,
        path: &str,
        along: &Along,
        message: T,
        method: impl FnOnce(&S, Request<T>) -> Calling<'_, Frames<M>>,
    ) -> Result<Frames<M>, Status> {
        let method = |request| method(&self.service, request);
        let call = |request| self.edge.stream_within(path, request, method);
        Ok(traced(path, along.request(message), call).await?.boxed())
    }
}

/// Puts a call into a trace, if traces are on.
async fn traced<T, R, F>(
    path: &str,
    mut request: Request<T>,
    call: impl FnOnce(Request<T>) -> F,
) -> Result<R, Status>
where
    F: Future<Output = Result<Response<R>, Status>>,
{
    let span = begin_span(path, request.metadata_mut().as_mut());
    let answer = call(request).await;
    if let Some(span) = span {
        span.end_call(code_of(&answer), false);
    }
    answer.map(Response::into_inner)
}

fn code_of<T>(answer: &Result<T, Status>) -> Code {
    answer.as_ref().err().map_or(Code::Ok, Status::code)
}
