//! The end of the stack: into the committer, and its refusals into errors that callers act on.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use configapi_domain::TraceParent;
use configapi_proto::ApiError;
use configapi_runtime::trace;
use tower::Service;

use super::Call;
use crate::committer::{CommitQueue, Receipt, Submission};
use crate::refusal::api_error;

/// Commits submissions.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    queue: CommitQueue,
    is_group: bool,
}

impl Commit {
    pub fn new(queue: CommitQueue, is_group: bool) -> Self {
        Self { queue, is_group }
    }
}

impl Service<Call<Submission>> for Commit {
    type Response = Vec<Receipt>;
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Vec<Receipt>, ApiError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut TaskContext<'_>) -> Poll<Result<(), ApiError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<Submission>) -> Self::Future {
        let (queue, is_group) = (self.queue.clone(), self.is_group);
        Box::pin(async move {
            let submission = call.request;
            let is_keyed = submission.request.is_some();
            let id = submission.provenance.request_id.clone();
            let trace = submission.provenance.traceparent.clone();
            let span = trace::within("commit", trace.as_ref().map(TraceParent::as_str));
            let answer = queue.submit(submission).await;
            if let Some(span) = span {
                span.end(answer.is_err());
            }
            answer.map_err(|refusal| api_error(refusal, is_group, id.filter(|_| is_keyed)))
        })
    }
}
