//! The calls of one HTTP/2 connection, run by the connection's own task. A task for each call would be
//! handed from one core to another, wake the connection by itself, and have its answer written by
//! itself, with a system call of its own. Here all calls that can go on do so, and then what they
//! answered leaves together.

mod rest;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures_util::stream::{FuturesUnordered, Stream as _};
use futures_util::task::AtomicWaker;
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) use self::rest::Clock;
use self::rest::Rest;

/// How often a connection looks again in one turn, before others have theirs.
const MAX_LOOKS: usize = 8;

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    /// What the call that is being looked at says of its end; nothing leaves all as it was.
    static END: Cell<Option<End>> = const { Cell::new(None) };
}

/// When a call shall end at the latest.
enum End {
    By(Instant),
    Never,
}

/// Ends the call that is being looked at by then, whatever it waits for. A client that takes nothing of
/// its answer keeps hyper from looking at the answer, so that the answer cannot end itself.
pub(crate) fn end_by(end: Instant) {
    END.set(Some(End::By(end)));
}

/// Lets the call that is being looked at go on for as long as it likes.
pub(crate) fn end_never() {
    END.set(Some(End::Never));
}

pin_project! {
    /// A call, until it is done or its time is over.
    struct Bounded<F> {
        #[pin]
        call: F,
        // Made only if the call said when it ends and is not done with that.
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = ()>> Future for Bounded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        END.set(None);
        if this.call.poll(context).is_ready() {
            return Poll::Ready(());
        }
        match END.take() {
            Some(End::By(end)) => *this.timer = Some(Box::pin(sleep_until(end))),
            Some(End::Never) => *this.timer = None,
            None => {}
        }
        let Some(timer) = this.timer else { return Poll::Pending };
        ready!(timer.as_mut().poll(context));
        tracing::debug!("a call is ended whose answer nobody takes");
        Poll::Ready(())
    }
}

/// The calls of one connection: where hyper puts those that begin, and how many are under way. Cheap to
/// clone.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Shared>);

#[derive(Default)]
struct Shared {
    beginning: Mutex<Vec<Call>>,
    /// Of those that the connection's task runs, when it was looked at last.
    under_way: AtomicUsize,
    /// Of those that somebody counts: over HTTP/1 the connection runs them itself.
    counted: AtomicUsize,
    rest: Rest,
}

/// A call that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Calls);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.0.counted.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.0.rest.begin();
        }
    }
}

impl Calls {
    /// Those of a connection that begins now, by this clock.
    pub(crate) fn by(clock: Clock) -> Self {
        Self(Arc::new(Shared { rest: Rest::new(clock), ..Shared::default() }))
    }

    /// Counts a call.
    pub(crate) fn begin(&self) -> UnderWay {
        self.0.counted.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    /// Whether more are counted than so many.
    pub(crate) fn are_more_than(&self, few: usize) -> bool {
        self.0.counted.load(Ordering::Relaxed) > few
    }

    /// Whether none is under way.
    pub(crate) fn are_none(&self) -> bool {
        let count = |calls: &AtomicUsize| calls.load(Ordering::Relaxed);
        count(&self.0.under_way) + count(&self.0.counted) == 0
    }

    /// If none is under way, when the last one ended or the connection began, by its clock.
    pub(crate) fn none_since(&self) -> Option<u64> {
        self.are_none().then(|| self.0.rest.since())
    }

    fn set_under_way(&self, calls: usize) {
        if calls == 0 && self.0.under_way.load(Ordering::Relaxed) > 0 {
            self.0.rest.begin();
        }
        self.0.under_way.store(calls, Ordering::Relaxed);
    }

    /// The connection, with these calls in its task.
    pub(crate) fn within<C>(self, connection: C) -> WithCalls<C> {
        WithCalls {
            connection,
            connection_bell: Arc::default(),
            beginning: self,
            under_way: FuturesUnordered::new(),
            calls_bell: Arc::default(),
            has_let_others: false,
        }
    }

    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.beginning.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

impl<F> Executor<F> for Calls
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let call = Box::pin(Bounded { call, timer: None });
        self.0.beginning.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

pin_project! {
    /// A connection and its calls. Ends when the connection does; calls that are left end with it.
    pub(crate) struct WithCalls<C> {
        #[pin]
        connection: C,
        connection_bell: Arc<Bell>,
        beginning: Calls,
        under_way: FuturesUnordered<Call>,
        calls_bell: Arc<Bell>,
        // Whether the task went to the end of the queue of those that are ready.
        has_let_others: bool,
    }
}

impl<C: Future> Future for WithCalls<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        let mut this = self.project();
        // Several calls are under way, and the one that can go on may not be the only one soon.
        let is_crowded = this.under_way.len() > 1;
        if is_crowded && !std::mem::replace(this.has_let_others, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        *this.has_let_others = false;
        for bell in [&*this.connection_bell, &*this.calls_bell] {
            bell.answer_to(context.waker());
        }
        let connection_waker = Waker::from(Arc::clone(this.connection_bell));
        let calls_waker = Waker::from(Arc::clone(this.calls_bell));
        for _ in 0..MAX_LOOKS {
            // Twice, because the set rings itself after it has polled all there are.
            for _ in 0..2 {
                this.calls_bell.hush();
                let mut calls_context = Context::from_waker(&calls_waker);
                let calls = &mut *this.under_way;
                while Pin::new(&mut *calls).poll_next(&mut calls_context) == Poll::Ready(Some(())) {
                }
                if !this.calls_bell.has_rung() {
                    break;
                }
            }
            // Whatever the calls have to send is seen by the look that comes now.
            this.connection_bell.hush();
            let mut connection_context = Context::from_waker(&connection_waker);
            if let Poll::Ready(outcome) = this.connection.as_mut().poll(&mut connection_context) {
                return Poll::Ready(outcome);
            }
            let beginning = this.beginning.take();
            let none_begin = beginning.is_empty();
            this.under_way.extend(beginning);
            this.beginning.set_under_way(this.under_way.len());
            // Of many calls, those that can go on by now can wait for those that soon can.
            let none_go_on = this.under_way.len() > 1 || !this.calls_bell.has_rung();
            if none_begin && none_go_on && !this.connection_bell.has_rung() {
                *this.has_let_others = this.calls_bell.has_rung();
                this.connection_bell.be_heard();
                this.calls_bell.be_heard();
                return Poll::Pending;
            }
        }
        this.connection_bell.be_heard();
        this.calls_bell.be_heard();
        // Calls that begin were not looked at yet: nobody would ring for them.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Wakes a task, unless it is awake: then it is remembered until the task has looked. Else a task
/// that wakes itself would go to the end of the queue, and another thread be woken to help.
#[derive(Debug, Default)]
struct Bell {
    task: AtomicWaker,
    is_awake: AtomicBool,
    has_rung: AtomicBool,
}

impl Bell {
    /// The task with this waker is awake.
    fn answer_to(&self, waker: &Waker) {
        self.task.register(waker);
        self.is_awake.store(true, Ordering::SeqCst);
    }

    /// The task looks now.
    fn hush(&self) {
        self.has_rung.store(false, Ordering::SeqCst);
    }

    fn has_rung(&self) -> bool {
        self.has_rung.load(Ordering::SeqCst)
    }

    /// The task is about to sleep. Who rings from now on wakes it, and so does who rang unheard.
    fn be_heard(&self) {
        self.is_awake.store(false, Ordering::SeqCst);
        if self.has_rung() {
            self.task.wake();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::SeqCst);
        if !self.is_awake.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}
