//! A connection that comes after the calls it carries. Each answer wakes the connection, and tokio
//! runs first what was woken last: so each would be written by itself, with a system call of its
//! own. While calls are under way, a connection waits for one turn, and all answers that are ready
//! leave together. One call alone waits for nobody.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::service::Service;
use pin_project_lite::pin_project;

/// The calls of one connection that are without an answer. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallsUnderWay(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    under_way: AtomicUsize,
    /// Whether one came while another was under way, since the connection last had its turn.
    is_crowded: AtomicBool,
}

impl CallsUnderWay {
    /// A service that counts its calls here.
    pub(crate) fn counting<S>(&self, inner: S) -> Counting<S> {
        Counting { inner, calls: self.clone() }
    }

    /// The connection that carries the calls.
    pub(crate) fn last_in_turn<F>(self, connection: F) -> LastInTurn<F> {
        LastInTurn { connection, calls: self, has_waited: false }
    }

    fn are_worth_a_wait(&self) -> bool {
        self.0.is_crowded.load(Ordering::Relaxed) || self.0.under_way.load(Ordering::Relaxed) > 0
    }
}

/// A call that has no answer yet.
#[derive(Debug)]
struct UnderWay(CallsUnderWay);

impl UnderWay {
    fn begin(calls: &CallsUnderWay) -> Self {
        if calls.0.under_way.fetch_add(1, Ordering::Relaxed) > 0 {
            calls.0.is_crowded.store(true, Ordering::Relaxed);
        }
        Self(calls.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A service whose calls are counted from when they come in until their answer begins.
#[derive(Debug, Clone)]
pub(crate) struct Counting<S> {
    inner: S,
    calls: CallsUnderWay,
}

impl<S: Service<R>, R> Service<R> for Counting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Counted<S::Future>;

    fn call(&self, request: R) -> Self::Future {
        let under_way = Some(UnderWay::begin(&self.calls));
        Counted { answer: self.inner.call(request), under_way }
    }
}

pin_project! {
    /// The answer of a counted call.
    #[derive(Debug)]
    pub(crate) struct Counted<F> {
        #[pin]
        answer: F,
        under_way: Option<UnderWay>,
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = this.answer.poll(context);
        if answer.is_ready() {
            *this.under_way = None;
        }
        answer
    }
}

pin_project! {
    /// Goes to the end of the queue of what is ready, once each time it is woken.
    #[derive(Debug)]
    pub(crate) struct LastInTurn<F> {
        #[pin]
        connection: F,
        calls: CallsUnderWay,
        has_waited: bool,
    }
}

impl<F: Future> Future for LastInTurn<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if !*this.has_waited && this.calls.are_worth_a_wait() {
            *this.has_waited = true;
            // A task that wakes itself is queued behind all that are ready.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        *this.has_waited = false;
        this.calls.0.is_crowded.store(false, Ordering::Relaxed);
        this.connection.poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Pending, Ready, pending, poll_fn, ready};
    use std::sync::Mutex;

    use super::*;

    /// Wakes a connection, then another task; tells in which order they had their turns.
    async fn order(calls: CallsUnderWay) -> Vec<&'static str> {
        let turns = Arc::new(Mutex::new(Vec::new()));
        let noted = |who| {
            let turns = Arc::clone(&turns);
            poll_fn(move |_| {
                turns.lock().unwrap().push(who);
                Poll::Ready(())
            })
        };
        let connection = tokio::spawn(calls.last_in_turn(noted("connection")));
        let other = tokio::spawn(noted("other"));
        connection.await.unwrap();
        other.await.unwrap();
        let turns = turns.lock().unwrap();
        turns.clone()
    }

    struct Answering;

    impl Service<()> for Answering {
        type Response = ();
        type Error = ();
        type Future = Ready<Result<(), ()>>;

        fn call(&self, (): ()) -> Self::Future {
            ready(Ok(()))
        }
    }

    struct Silent;

    impl Service<()> for Silent {
        type Response = ();
        type Error = ();
        type Future = Pending<Result<(), ()>>;

        fn call(&self, (): ()) -> Self::Future {
            pending()
        }
    }

    #[tokio::test]
    async fn a_connection_with_a_call_under_way_lets_all_that_is_ready_go_first() {
        let calls = CallsUnderWay::default();
        let _unanswered = calls.counting(Silent).call(());
        assert_eq!(order(calls).await, ["other", "connection"]);
    }

    #[tokio::test]
    async fn it_does_so_once_more_when_calls_that_came_together_are_answered() {
        let calls = CallsUnderWay::default();
        let service = calls.counting(Answering);
        let both = (service.call(()), service.call(()));
        both.0.await.unwrap();
        both.1.await.unwrap();
        assert_eq!(order(calls.clone()).await, ["other", "connection"]);
        assert_eq!(order(calls).await, ["connection", "other"]);
    }

    #[tokio::test]
    async fn a_call_alone_waits_for_nobody_when_it_is_answered_or_given_up() {
        let calls = CallsUnderWay::default();
        calls.counting(Answering).call(()).await.unwrap();
        drop(calls.counting(Silent).call(()));
        assert_eq!(order(calls).await, ["connection", "other"]);
    }
}
