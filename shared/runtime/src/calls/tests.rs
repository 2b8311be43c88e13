//! A connection and its calls, looked at turn by turn.

use std::future::{pending, poll_fn};
use std::sync::atomic::AtomicUsize;

use tokio::sync::Semaphore;

use super::*;

/// The task of a connection: how often it was woken.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Wakes a connection, as an answer does that is ready to be sent, or the network.
#[derive(Clone, Default)]
struct Ring(Arc<AtomicWaker>);

/// A connection that counts its looks.
struct Stage {
    task: Arc<Task>,
    looks: Arc<AtomicUsize>,
    ring: Ring,
    connection: Pin<Box<WithCalls<Call>>>,
}

impl Stage {
    /// Its n-th look begins what it is told to.
    fn new(begin: impl Fn(usize, &Calls, &Ring) + Send + 'static) -> Self {
        let (looks, ring, calls) =
            (Arc::<AtomicUsize>::default(), Ring::default(), Calls::default());
        let looking: Call = Box::pin(poll_fn({
            let (looks, ring, calls) = (Arc::clone(&looks), ring.clone(), calls.clone());
            move |context| {
                ring.0.register(context.waker());
                begin(looks.fetch_add(1, Ordering::SeqCst), &calls, &ring);
                Poll::Pending
            }
        }));
        Self { task: Arc::default(), looks, ring, connection: Box::pin(calls.within(looking)) }
    }

    /// Gives the task a turn: how often the connection looked and the task was woken by now.
    fn turn(&mut self) -> (usize, usize) {
        let waker = Waker::from(Arc::clone(&self.task));
        assert!(self.connection.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        self.seen()
    }

    fn seen(&self) -> (usize, usize) {
        (self.looks.load(Ordering::SeqCst), self.task.0.load(Ordering::SeqCst))
    }
}

#[test]
fn an_answer_leaves_in_the_turn_that_it_is_given_in() {
    let mut stage = Stage::new(|look, calls, ring| {
        let ring = ring.clone();
        if look == 0 {
            calls.execute(async move { ring.0.wake() });
        }
    });
    assert_eq!(stage.turn(), (2, 0), "a look for the call, one for its answer, no wake-up");
    stage.ring.0.wake();
    assert_eq!(stage.seen(), (2, 1), "what comes from outside wakes the task");
    assert_eq!(stage.turn(), (3, 1));
}

#[test]
fn calls_that_can_soon_go_on_are_answered_with_the_one_that_can() {
    let answers = Arc::new(Semaphore::new(0));
    let waited_for = Arc::clone(&answers);
    let mut stage = Stage::new(move |look, calls, ring| {
        for _ in 0..if look == 0 { 3 } else { 0 } {
            let (answers, ring) = (Arc::clone(&waited_for), ring.clone());
            calls.execute(async move {
                answers.acquire().await.unwrap().forget();
                ring.0.wake();
            });
        }
    });
    assert_eq!(stage.turn(), (2, 0), "a look for the calls, one for what they may have to send");
    answers.add_permits(1);
    assert_eq!(stage.seen(), (2, 1));
    assert_eq!(stage.turn(), (2, 2), "others go first");
    answers.add_permits(2);
    assert_eq!(stage.turn().0, 3, "one look for all three");
    assert!(stage.connection.under_way.is_empty());
}

#[test]
fn a_connection_that_never_comes_to_rest_lets_others_have_their_turn() {
    let mut stage = Stage::new(|_, calls, _| calls.execute(async {}));
    assert_eq!(stage.turn(), (MAX_LOOKS, 1));
    assert_eq!(stage.turn(), (2 * MAX_LOOKS, 2));
}

#[test]
fn calls_end_with_their_connection() {
    let held = Arc::new(());
    let mut stage = Stage::new({
        let held = Arc::clone(&held);
        move |_, calls, _| {
            let held = Arc::clone(&held);
            calls.execute(async move {
                pending::<()>().await;
                drop(held);
            });
        }
    });
    stage.turn();
    let before = Arc::strong_count(&held);
    drop(stage);
    assert!(before > 2);
    assert_eq!(Arc::strong_count(&held), 1);
}
