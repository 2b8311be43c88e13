//! What a connection has to send, gathered while its task looks at all there is to do. The HTTP/2 library
//! writes an answer of more than a few hundred bytes by itself, with a system call of its own; here
//! whatever is written in one turn of the task leaves together.

mod sending;
#[cfg(test)]
mod tests;

use std::{
    cell::Cell,
    io::{self, IoSlice},
    mem::take,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) use self::sending::Sending;

/// What is written at once and is not larger is copied. Larger pieces are sent from where they lie.
const MAX_COPIED: usize = 16 << 10;
/// The most that is gathered. Who writes more waits until some of it is sent.
const MAX_GATHERED: usize = 64 << 10;
/// The most pieces that are sent behind what was gathered, in one go.
const MAX_PIECES: usize = 16;

thread_local! {
    /// Room for what is gathered next, whoever writes it: it was used just now, so it is near. Who has
    /// nothing to send holds none. It has grown with what was gathered, to less than twice the most.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A stream of bytes whose output is gathered: what it is written to is sent by [`Sending`]. Clones are
/// the same stream.
#[derive(Debug)]
pub(crate) struct Outbox<S>(Arc<Mutex<Shared<S>>>);

#[derive(Debug)]
struct Shared<S> {
    stream: S,
    gathered: Vec<u8>,
    /// How much of it was sent.
    sent: usize,
    /// How much the stream has taken in all.
    taken: u64,
    /// Whether the stream took nothing of what it was given last.
    is_blocked: bool,
    /// What went wrong while nobody asked.
    error: Option<io::Error>,
}

impl<S> Clone for Outbox<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Outbox<S> {
    pub(crate) fn new(stream: S) -> Self {
        let (gathered, error) = (Vec::new(), None);
        let shared = Shared { stream, gathered, sent: 0, taken: 0, is_blocked: false, error };
        Self(Arc::new(Mutex::new(shared)))
    }

    /// Only the connection's own task ever asks.
    fn shared(&self) -> MutexGuard<'_, Shared<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This connection, whose output is sent each time that it has been looked at. It hears of an error
    /// when the stream has taken nothing for so long although there was something to send.
    pub(crate) fn sending<C>(self, connection: C, patience: Duration) -> Sending<C, S> {
        Sending::new(connection, self, patience)
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    fn unsent(&self) -> usize {
        self.gathered.len() - self.sent
    }

    /// Remembers what became of a write.
    fn noted(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => {
                self.taken += *bytes as u64;
                self.is_blocked = false;
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.is_blocked = true,
        }
        written
    }

    /// Nothing more will arrive. The connection hears why when it is looked at again.
    fn give_up(&mut self, error: io::Error, context: &Context<'_>) {
        let unsent = self.unsent();
        self.advance(unsent);
        self.is_blocked = false;
        self.error = Some(error);
        context.waker().wake_by_ref();
    }

    /// Says that so much of what was gathered is sent.
    fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.unsent() == 0 {
            self.sent = 0;
            self.gathered.clear();
            ROOM.set(take(&mut self.gathered));
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unsent() > 0 {
            let rest = &self.gathered[self.sent..];
            let written = Pin::new(&mut self.stream).poll_write(context, rest);
            match self.noted(written)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(bytes) => self.advance(bytes),
                Poll::Pending => {
                    self.make_do();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Holds no more room than what is left needs: it may take long until somebody takes it.
    fn make_do(&mut self) {
        self.gathered.drain(..take(&mut self.sent));
        self.gathered.shrink_to_fit();
    }

    /// Copies what there is room for, or waits for room.
    fn poll_gather(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
        bytes: usize,
    ) -> Poll<io::Result<usize>> {
        if self.unsent() + bytes > MAX_GATHERED {
            let sent = self.poll_send(context)?;
            if sent.is_pending() && self.unsent() + bytes > MAX_GATHERED {
                return Poll::Pending;
            }
        }
        self.gathered.drain(..take(&mut self.sent));
        if self.gathered.capacity() == 0 {
            self.gathered = ROOM.take();
        }
        self.gathered.reserve(bytes);
        for piece in pieces {
            self.gathered.extend_from_slice(piece);
        }
        Poll::Ready(Ok(bytes))
    }

    /// Sends pieces from where they lie, behind what was gathered.
    fn poll_pass(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        while self.unsent() > 0 {
            let mut all = [IoSlice::new(&[]); 1 + MAX_PIECES];
            all[0] = IoSlice::new(&self.gathered[self.sent..]);
            let behind = pieces.len().min(MAX_PIECES);
            all[1..=behind].copy_from_slice(&pieces[..behind]);
            let stream = Pin::new(&mut self.stream);
            let written = stream.poll_write_vectored(context, &all[..=behind]);
            let bytes = match ready!(self.noted(written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => bytes,
            };
            let gathered = bytes.min(self.unsent());
            self.advance(gathered);
            if bytes > gathered {
                return Poll::Ready(Ok(bytes - gathered));
            }
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.noted(written)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Outbox<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut shared = self.shared();
        if let Some(error) = shared.error.take() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut shared.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Outbox<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    /// What was written is sent soon without being asked for.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shared().error.take().map_or(Ok(()), Err))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.shared();
        ready!(shared.poll_send(context))?;
        Pin::new(&mut shared.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut shared = self.shared();
        if let Some(error) = shared.error.take() {
            return Poll::Ready(Err(error));
        }
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        if bytes <= MAX_COPIED {
            shared.poll_gather(context, pieces, bytes)
        } else {
            shared.poll_pass(context, pieces)
        }
    }
}
