//! One call until its answer begins: the handler races its deadline, and a panic becomes an answer.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tracing::Span;

use super::{Call, EdgeBody, GRACE, answer, meter::Watched, protocol::NotGrpc};
use crate::{
    calls,
    drain::Drain,
    grpc::{Framed, refusal},
};

pin_project! {
    /// The answer of one call.
    pub struct EdgeFuture<F, B> {
        #[pin]
        handled: Handled<F, B>,
        // Why it was refused, if that was why.
        not_grpc: Option<NotGrpc>,
    }
}

impl<F, B> EdgeFuture<F, B> {
    pub(super) fn new(handled: Handled<F, B>, not_grpc: Option<NotGrpc>) -> Self {
        Self { handled, not_grpc }
    }
}

impl<F, B, R> Future for EdgeFuture<F, B>
where
    B: http_body::Body,
    F: Future<Output = Result<Response<R>, Infallible>>,
    R: http_body::Body<Data = Bytes>,
{
    type Output = Result<Response<EdgeBody<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (outcome, watched) = ready!(this.handled.poll(context));
        Poll::Ready(Ok(match outcome {
            Ok(Ok(response)) => begin(response, watched),
            Ok(Err(never)) => match never {},
            Err(status) => answer(&status, *this.not_grpc, watched),
        }))
    }
}

pin_project! {
    /// One call until it is known how it ends or its answer begins: what the handler says, or why it
    /// was not let.
    pub(super) struct Handled<F, B> {
        #[pin]
        stage: Stage<F, B>,
        // Made only if the handler is not done at once.
        #[pin]
        timer: Option<Sleep>,
        // Whether the deadline was seen to be over. From then on the handler has its last moment.
        is_over: bool,
        watched: Option<Watched>,
        span: Span,
    }
}

pin_project! {
    #[project = StageProjection]
    pub(super) enum Stage<F, B> {
        Handling { #[pin] handler: F },
        Refused { status: Box<Status>, #[pin] drain: Option<Drain<B>> },
    }
}

impl<F, B> Stage<F, B> {
    /// The handler that this makes, within the call's span.
    pub fn handling(call: &Call, span: &Span, handler: impl FnOnce() -> F) -> Self {
        match catch_unwind(AssertUnwindSafe(|| span.in_scope(handler))) {
            Ok(handler) => Self::Handling { handler },
            Err(_panic) => Self::refused(refusal::internal(call), None),
        }
    }

    pub fn refused(status: Status, drain: Option<Drain<B>>) -> Self {
        Self::Refused { status: Box::new(status), drain }
    }
}

impl<F, B> Handled<F, B> {
    pub fn new(stage: Stage<F, B>, watched: Watched, span: Span) -> Self {
        let watched = Some(watched);
        Self { stage, timer: None, is_over: false, watched, span }
    }
}

impl<F, B> Future for Handled<F, B>
where
    B: http_body::Body,
    F: Future,
{
    type Output = (Result<F::Output, Status>, Watched);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _entered = this.span.enter();
        let Some(call) = this.watched.as_ref().map(Watched::call) else {
            // Polled after it was done, which futures may answer as they like.
            return Poll::Pending;
        };
        let outcome = match this.stage.project() {
            StageProjection::Refused { status, drain } => {
                if let Some(drain) = drain.as_pin_mut() {
                    ready!(drain.poll(context));
                }
                Err(std::mem::replace(&mut **status, Status::ok("")))
            }
            StageProjection::Handling { handler } => {
                match catch_unwind(AssertUnwindSafe(|| handler.poll(context))) {
                    Ok(Poll::Ready(said)) => Ok(said),
                    Ok(Poll::Pending) => {
                        Err(ready!(time_is_over(this.timer, this.is_over, call, context)))
                    }
                    Err(_panic) => Err(refusal::internal(call)),
                }
            }
        };
        call.end_waiting();
        match this.watched.take() {
            Some(watched) => Poll::Ready((outcome, watched)),
            None => Poll::Pending,
        }
    }
}

/// Waits until there is no more time, and says of what.
fn time_is_over(
    mut timer: Pin<&mut Option<Sleep>>,
    is_over: &mut bool,
    call: &Call,
    context: &mut Context<'_>,
) -> Poll<Status> {
    if timer.is_none() {
        timer.set(Some(sleep_until(call.until())));
    }
    let Some(mut timer) = timer.as_pin_mut() else { return Poll::Pending };
    ready!(timer.as_mut().poll(context));
    // More of the request has come meanwhile, or all of it.
    while timer.deadline() < call.until() {
        timer.as_mut().reset(call.until());
        ready!(timer.as_mut().poll(context));
    }
    if call.until() < call.deadline() {
        return Poll::Ready(refusal::request_too_slow());
    }
    // The handler's own timer was looked at only now, however late it is.
    if !std::mem::replace(is_over, true) {
        timer.as_mut().reset(Instant::now() + GRACE);
        ready!(timer.poll(context));
    }
    Poll::Ready(refusal::deadline_exceeded())
}

/// The answer begins: its status is in the head already, or will come in the trailers.
fn begin<R: http_body::Body>(response: Response<R>, mut watched: Watched) -> Response<EdgeBody<R>> {
    let (mut head, body) = response.into_parts();
    if let Some(mut code) = super::body::code_in(&head.headers) {
        if code != tonic::Code::Ok {
            code = super::body::with_reason(&mut head.headers, code);
        }
        watched.end(code);
        if code != tonic::Code::Ok {
            watched.call().name_failure_in(&mut head.headers);
        }
    } else if body.is_end_stream() {
        watched.end(tonic::Code::Unknown);
    } else if let Some(end) = watched.answer_end() {
        calls::end_by(end);
    }
    watched.call().name_in(&mut head.headers);
    let body = match head.extensions.remove::<Framed>() {
        Some(framed) => EdgeBody::whole(framed, watched),
        None => EdgeBody::new(body, watched),
    };
    Response::from_parts(head, body)
}
