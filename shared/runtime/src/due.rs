//! What a client has to take by some time: else its connection is closed. An answer that is given to HTTP's
//! libraries is out of the hands of its call, and the connection alone still has it in its own.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// An answer over HTTP/2 ends by itself when it is due, and the rest of it is dropped. Only a frame that is
/// half written cannot be, and has this much longer.
pub(crate) const LAST_FRAME_GRACE: Duration = Duration::from_secs(10);

thread_local! {
    /// Of the connection that is being looked at; none where none is.
    static BEGUN: Cell<Option<Dues>> = const { Cell::new(None) };
}

/// Goes with what has to be taken by some time, and is dropped with the last of it.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    _by: Arc<Instant>,
}

impl Due {
    /// By then, of the connection that is being looked at.
    pub fn by(end: Instant) -> Self {
        let by = Arc::new(end);
        if let Some(mut dues) = BEGUN.take() {
            dues.add(&by);
            BEGUN.set(Some(dues));
        }
        Self { _by: by }
    }
}

/// All that is due on one connection. What is not any more stays until there would have to be more room.
#[derive(Debug, Default)]
struct Dues {
    all: Vec<Weak<Instant>>,
    /// No later than the first end of those that are still due.
    first: Option<Instant>,
}

impl Dues {
    fn add(&mut self, by: &Arc<Instant>) {
        if self.all.len() == self.all.capacity() {
            self.all.retain(|due| due.strong_count() > 0);
        }
        self.all.push(Arc::downgrade(by));
        self.first = Some(self.first.map_or(**by, |first| first.min(**by)));
    }

    /// When the first of them ends, now that those which were taken do not count any more.
    fn still_first(&mut self) -> Option<Instant> {
        self.all.retain(|due| due.strong_count() > 0);
        self.first = self.all.iter().filter_map(Weak::upgrade).map(|by| *by).min();
        self.first
    }
}

/// Lets what becomes due on a connection be added to what is, while it is being looked at.
struct Look<'a>(&'a mut Dues);

impl<'a> Look<'a> {
    fn at(dues: &'a mut Dues) -> Self {
        BEGUN.set(Some(std::mem::take(dues)));
        Self(dues)
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        *self.0 = BEGUN.take().unwrap_or_default();
    }
}

pin_project! {
    /// A connection, until it ends or something of it is due and was not taken.
    pub(crate) struct UntilDue<C> {
        #[pin]
        connection: C,
        dues: Dues,
        // Made only if something is due.
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<C> UntilDue<C> {
    pub fn new(connection: C) -> Self {
        Self { connection, dues: Dues::default(), timer: None }
    }
}

impl<C: Future<Output = ()>> Future for UntilDue<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let look = Look::at(this.dues);
        if this.connection.poll(context).is_ready() {
            return Poll::Ready(());
        }
        drop(look);
        while let Some(first) = this.dues.first {
            let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(first)));
            if timer.deadline() != first {
                timer.as_mut().reset(first);
            }
            ready!(timer.as_mut().poll(context));
            if this.dues.still_first().is_some_and(|first| first <= Instant::now()) {
                tracing::debug!("a connection is closed whose client does not take its answer");
                return Poll::Ready(());
            }
        }
        *this.timer = None;
        Poll::Pending
    }
}
