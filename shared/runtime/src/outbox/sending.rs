//! A connection together with its outbox, which is sent each time that the connection has been looked at,
//! and given up when nobody takes it.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    io::AsyncWrite,
    time::{Instant, Sleep, sleep},
};

use super::Outbox;

pin_project! {
    /// A connection, and the sending of what it writes.
    pub(crate) struct Sending<C, S> {
        #[pin]
        connection: C,
        outbox: Outbox<S>,
        blocked: Blocked,
    }
}

/// How long a stream has taken nothing.
#[derive(Debug)]
struct Blocked {
    patience: Duration,
    /// How much it had taken when it was looked at last.
    taken: u64,
    // Made only once it takes nothing.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Blocked {
    /// Ready when that was for too long.
    fn poll(&mut self, taken: u64, context: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        if std::mem::replace(&mut self.taken, taken) != taken {
            timer.as_mut().reset(Instant::now() + patience);
        }
        timer.as_mut().poll(context)
    }
}

impl<C, S> Sending<C, S> {
    pub(super) fn new(connection: C, outbox: Outbox<S>, patience: Duration) -> Self {
        Self { connection, outbox, blocked: Blocked { patience, taken: 0, timer: None } }
    }

    /// The connection itself.
    pub(crate) fn connection(self: Pin<&mut Self>) -> Pin<&mut C> {
        self.project().connection
    }
}

impl<C: Future, S: AsyncWrite + Unpin> Future for Sending<C, S> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.project();
        let outcome = this.connection.poll(context);
        let mut shared = this.outbox.shared();
        if let Poll::Ready(Err(error)) = shared.poll_send(context) {
            shared.give_up(error, context);
        }
        if !shared.is_blocked {
            this.blocked.timer = None;
        } else if this.blocked.poll(shared.taken, context).is_ready() {
            this.blocked.timer = None;
            let why = "the peer takes nothing of what is sent to it";
            shared.give_up(io::Error::new(io::ErrorKind::TimedOut, why), context);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> Outbox<S> {
    /// How much the stream has taken, if it has taken all that there was to send.
    pub(crate) fn all_taken(&self) -> Option<u64> {
        let shared = self.shared();
        (shared.unsent() == 0 && !shared.is_blocked).then_some(shared.taken)
    }
}
