//! What is written leaves whole, in order and together, and what goes wrong is told.

use std::{
    future::{pending, poll_fn},
    sync::atomic::{AtomicUsize, Ordering},
    task::{Wake, Waker},
};

use super::*;

/// A stream that remembers each write, and takes so many bytes at once and in all.
struct Wire {
    writes: Vec<Vec<u8>>,
    at_once: usize,
    in_all: usize,
    is_broken: bool,
    is_shut: bool,
}

impl Wire {
    fn outbox() -> Outbox<Self> {
        let (at_once, in_all) = (usize::MAX, usize::MAX);
        let (is_broken, is_shut) = (false, false);
        Outbox::new(Self { writes: Vec::new(), at_once, in_all, is_broken, is_shut })
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut write: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        write.truncate(self.at_once.min(self.in_all));
        if write.is_empty() {
            return Poll::Pending;
        }
        self.in_all -= write.len();
        self.writes.push(write);
        Poll::Ready(Ok(self.writes.last().map_or(0, Vec::len)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_shut = true;
        Poll::Ready(Ok(()))
    }
}

/// Counts how often it was woken.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn write(outbox: &Outbox<Wire>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(&mut outbox.clone()).poll_write(&mut context, bytes)
}

fn flush(outbox: &Outbox<Wire>) -> Poll<io::Result<()>> {
    Pin::new(&mut outbox.clone()).poll_flush(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn what_is_written_in_one_turn_leaves_in_one_write() {
    let outbox = Wire::outbox();
    let end = outbox.clone();
    let mut connection = Box::pin(outbox.clone().sending(
        poll_fn(move |_| {
            for answer in [b'a', b'b', b'c'] {
                assert!(matches!(write(&end, &[answer; 1_000]), Poll::Ready(Ok(1_000))));
                assert!(matches!(flush(&end), Poll::Ready(Ok(()))));
            }
            Poll::<()>::Pending
        }),
        Duration::MAX,
    ));
    for turn in 1..=2 {
        let mut context = Context::from_waker(Waker::noop());
        assert!(connection.as_mut().poll(&mut context).is_pending());
        let writes = &outbox.shared().stream.writes;
        assert_eq!(writes.len(), turn);
        assert_eq!(writes[turn - 1], [[b'a'; 1_000], [b'b'; 1_000], [b'c'; 1_000]].concat());
    }
}

#[test]
fn nothing_is_lost_or_reordered_whatever_the_sizes() {
    const SIZES: [usize; 9] = [1, 300, 16_384, 5, 16_385, 70_000, 16_000, 200_000, 3];
    for at_once in [1_000, 16_384, 65_537, usize::MAX] {
        let outbox = Wire::outbox();
        outbox.shared().stream.at_once = at_once;
        let mut expected = Vec::new();
        for (size, letter) in SIZES.into_iter().zip(b'a'..) {
            let piece = vec![letter; size];
            expected.extend_from_slice(&piece);
            let mut rest = &piece[..];
            while !rest.is_empty() {
                match write(&outbox, rest) {
                    Poll::Ready(bytes) => rest = &rest[bytes.unwrap()..],
                    Poll::Pending => panic!("the stream takes all there is"),
                }
            }
        }
        let mut context = Context::from_waker(Waker::noop());
        let shut = Pin::new(&mut outbox.clone()).poll_shutdown(&mut context);
        assert!(matches!(shut, Poll::Ready(Ok(()))));
        assert!(outbox.shared().stream.is_shut);
        assert!(outbox.shared().stream.writes.concat() == expected, "{at_once} at once");
    }
}

#[test]
fn who_writes_more_than_is_gathered_waits() {
    const PIECE: usize = 1 << 10;
    let outbox = Wire::outbox();
    outbox.shared().stream.in_all = 0;
    for _ in 0..MAX_GATHERED / PIECE {
        assert!(matches!(write(&outbox, &[b'x'; PIECE]), Poll::Ready(Ok(PIECE))));
    }
    assert!(write(&outbox, b"y").is_pending());
    assert!(write(&outbox, &vec![b'y'; MAX_COPIED + 1]).is_pending());
    outbox.shared().stream.in_all = 1;
    assert!(matches!(write(&outbox, b"y"), Poll::Ready(Ok(1))));
    assert!(write(&outbox, b"z").is_pending());
    assert_eq!(outbox.shared().unsent(), MAX_GATHERED);
}

#[tokio::test]
async fn room_is_held_only_for_what_is_not_sent_yet() {
    const PIECE: usize = 1 << 10;
    const PATIENCE: Duration = Duration::from_secs(30);
    let outbox = Wire::outbox();
    let mut sending = Box::pin(outbox.clone().sending(pending::<()>(), PATIENCE));
    let mut send = || {
        let turn = sending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(turn.is_pending());
        outbox.shared().gathered.capacity()
    };
    for in_all in [usize::MAX, 10 * PIECE - 1] {
        outbox.shared().stream.in_all = in_all;
        for _ in 0..10 {
            assert!(matches!(write(&outbox, &[b'x'; PIECE]), Poll::Ready(Ok(PIECE))));
        }
        assert_eq!(send(), 10 * PIECE - in_all.min(10 * PIECE), "{in_all} are taken");
    }
    outbox.shared().stream.in_all = usize::MAX;
    assert_eq!(send(), 0);
}

#[test]
fn what_goes_wrong_between_turns_is_told_in_the_next() {
    let outbox = Wire::outbox();
    let end = outbox.clone();
    let mut told = Vec::new();
    let mut connection = Box::pin(outbox.clone().sending(
        poll_fn(move |_| {
            let written = write(&end, b"hello").map_err(|error| error.kind());
            told.push(written);
            if told.len() == 2 { Poll::Ready(std::mem::take(&mut told)) } else { Poll::Pending }
        }),
        Duration::MAX,
    ));
    outbox.shared().stream.is_broken = true;
    let task = Arc::<Task>::default();
    let waker = Waker::from(Arc::clone(&task));
    assert!(connection.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(task.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(told) = connection.as_mut().poll(&mut Context::from_waker(&waker)) else {
        panic!("it was told twice");
    };
    let broken = Poll::Ready(Err(io::ErrorKind::BrokenPipe));
    assert_eq!(told, [Poll::Ready(Ok(5)), broken]);
}
