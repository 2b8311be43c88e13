//! Requests that have begun and are still coming. Nothing is done for them, but each takes room, so there
//! is a bound to them; and a few clients that do not go on cannot use it up for all the others. What is
//! there with its head, as nearly every request is, is never counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;

/// Half of the places are for connections that have no more than so many.
pub(crate) const FEW: usize = 100;

/// What comes on one listener.
#[derive(Debug)]
pub(crate) struct OfListener {
    coming: AtomicUsize,
    max: usize,
}

/// What comes on one connection. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Arrivals(Arc<OfConnection>);

#[derive(Debug)]
struct OfConnection {
    coming: AtomicUsize,
    listener: Arc<OfListener>,
    /// Whether a request is under way whose answer is owed, also to who sends nothing more.
    is_owed: AtomicBool,
    /// Whether there is nothing more to come, which was not told because of that.
    has_ended: AtomicBool,
    /// Whom to wake once it may be told.
    ear: AtomicWaker,
}

/// A request that is waited for until this is dropped.
#[derive(Debug)]
pub(crate) struct Arriving {
    arrivals: Arrivals,
    // The first of a connection has a place with the connection.
    is_first: bool,
}

/// For as long as a request is not answered. Over HTTP/1 there is one at a time.
#[derive(Debug)]
pub(crate) struct Unanswered(Arrivals);

impl OfListener {
    /// It waits for so many, beside one for each connection.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { coming: AtomicUsize::new(0), max })
    }
}

impl Arrivals {
    pub fn new(listener: Arc<OfListener>) -> Self {
        let (coming, is_owed, has_ended) = (AtomicUsize::new(0), false.into(), false.into());
        let ear = AtomicWaker::new();
        Self(Arc::new(OfConnection { coming, listener, is_owed, has_ended, ear }))
    }

    /// A request whose answer is owed.
    pub fn unanswered(&self) -> Unanswered {
        self.0.has_ended.store(false, Ordering::Relaxed);
        self.0.is_owed.store(true, Ordering::Relaxed);
        Unanswered(self.clone())
    }

    /// There is nothing more to come: whether that has to be kept back because an answer is owed. If so, this
    /// is woken once it has not.
    pub fn keep_back_end(&self, waker: &Waker) -> bool {
        let is_owed = self.0.is_owed.load(Ordering::Relaxed);
        if is_owed {
            self.0.ear.register(waker);
            self.0.has_ended.store(true, Ordering::Relaxed);
        }
        is_owed
    }

    /// All that has come of a request was read, and it is not all of it: if nothing more comes, no answer is
    /// owed.
    pub fn want_more(&self) {
        if self.0.has_ended.load(Ordering::Relaxed) {
            self.0.tell_end();
        }
    }

    /// Begins to wait for a request, if there is a place.
    pub fn begin(&self) -> Option<Arriving> {
        let OfConnection { coming, listener, .. } = &*self.0;
        let of_connection = coming.fetch_add(1, Ordering::Relaxed);
        let is_first = of_connection == 0;
        let arriving = Arriving { arrivals: self.clone(), is_first };
        if is_first {
            return Some(arriving);
        }
        let in_all = listener.coming.fetch_add(1, Ordering::Relaxed);
        let max = if of_connection < FEW { listener.max } else { listener.max / 2 };
        (in_all < max).then_some(arriving)
    }
}

impl OfConnection {
    fn tell_end(&self) {
        self.is_owed.store(false, Ordering::Relaxed);
        self.ear.wake();
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let OfConnection { coming, listener, .. } = &*self.arrivals.0;
        coming.fetch_sub(1, Ordering::Relaxed);
        if !self.is_first {
            listener.coming.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.0.tell_end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_many_as_may(arrivals: &Arrivals) -> Vec<Arriving> {
        std::iter::from_fn(|| arrivals.begin()).collect()
    }

    #[test]
    fn one_connection_has_half_of_the_places_and_leaves_the_others_some() {
        let listener = OfListener::new(1_000);
        let connection = || Arrivals::new(Arc::clone(&listener));
        let (greedy, others) = (connection(), [(); 10].map(|()| connection()));
        let of_greedy = as_many_as_may(&greedy);
        assert_eq!(of_greedy.len(), 1 + 500);
        let of_others: Vec<_> = others.iter().map(as_many_as_may).collect();
        let counts: Vec<_> = of_others.iter().map(Vec::len).collect();
        assert_eq!(counts, [100, 100, 100, 100, 100, 6, 1, 1, 1, 1]);
        assert!(greedy.begin().is_none());
        drop((of_greedy, of_others));
        assert_eq!(listener.coming.load(Ordering::Relaxed), 0);
        assert_eq!(as_many_as_may(&others[9]).len(), 1 + 500);
    }
}
