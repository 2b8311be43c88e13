//! Makes keyed submissions repeatable: a request id stands for exactly what was asked. The log is
//! the only memory of ids; whatever else remembered them could outlive a tail that was lost.

use std::task::{Context as TaskContext, Poll};

use configapi_domain::{Point, RequestId, TraceParent, Version};
use configapi_event_log::{Fingerprint, RequestKey};
use sha2::{Digest, Sha256};
use tower::{Layer, Service};

use super::Call;
use crate::committer::{Submission, Wish, WishedAction};

/// Gives submissions their identity.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdempotencyLayer;

impl<S> Layer<S> for IdempotencyLayer {
    type Service = Idempotency<S>;

    fn layer(&self, inner: S) -> Idempotency<S> {
        Idempotency { inner }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Idempotency<S> {
    inner: S,
}

impl<S> Service<Call<Submission>> for Idempotency<S>
where
    S: Service<Call<Submission>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call<Submission>) -> S::Future {
        let Call { request: submission, context } = &mut call;
        match &submission.provenance.request_id {
            Some(id) => {
                let fingerprint = fingerprint(submission);
                submission.request = Some(RequestKey { id: id.clone(), fingerprint });
            }
            // The id that the edge gave the call leads from the event to the logs.
            None => submission.provenance.request_id = RequestId::parse(&context.call_id).ok(),
        }
        let trace = context.traceparent.as_deref().and_then(TraceParent::parse);
        submission.provenance.traceparent = trace;
        submission.deadline = context.deadline;
        self.inner.call(call)
    }
}

/// A digest of what is asked: the wishes in order, by whom and why. It is stored with the events,
/// so its form must never change.
fn fingerprint(submission: &Submission) -> Fingerprint {
    let mut digest = FieldDigest(Sha256::new());
    digest.text(submission.provenance.actor.as_str());
    digest.text(submission.provenance.reason.as_str());
    for wish in &submission.wishes {
        digest.wish(wish);
    }
    let full: [u8; 32] = digest.0.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&full[..16]);
    Fingerprint(half)
}

/// No version is expected.
const NONE: u64 = u64::MAX;

/// A digest of fields that cannot run into each other.
struct FieldDigest(Sha256);

impl FieldDigest {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn wish(&mut self, wish: &Wish) {
        self.text(wish.key.stream());
        // 0 is an expected version too, so "none" needs a number that no version has.
        self.number(wish.expected_version.map_or(NONE, |version| version.0));
        // Who expects just that is never obeyed, so it is in no log, and may bear a mark that no action has.
        if wish.expected_version == Some(Version(NONE)) {
            self.number(0);
        }
        match &wish.action {
            WishedAction::Set(content) => {
                self.number(1);
                self.text(content.value.as_str());
                self.text(content.content_type.as_ref().map_or("", |kind| kind.as_str()));
            }
            WishedAction::Delete => self.number(2),
            WishedAction::Restore(point) => {
                let (kind, number) = match point {
                    None => (3, 0),
                    Some(Point::Version(version)) => (4, version.0),
                    Some(Point::Time(time)) => (5, time.0.cast_unsigned()),
                    Some(Point::Position(position)) => (6, position.0),
                };
                self.number(kind);
                self.number(number);
            }
        }
    }
}
