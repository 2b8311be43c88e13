//! The ways of streams to one server. A connection has room for so many streams, and whoever comes next
//! would wait until one of them ends; so there is another connection then.

use std::sync::{Arc, Mutex, PoisonError};

use configapi_runtime::grpc::Http2Limits;

/// As many ways as the streams need that are open. Who opens them bounds how many those are.
pub(crate) struct Streams<C> {
    make: Box<dyn Fn() -> C + Send + Sync>,
    /// How many our servers let be open on one connection.
    max_of_a_way: usize,
    ways: Mutex<Vec<OneWay<C>>>,
}

struct OneWay<C> {
    client: C,
    /// Has a clone for each stream that is open.
    open: Arc<()>,
}

/// The place of a stream, for as long as it is open.
#[derive(Debug)]
pub(super) struct Seat {
    _open: Arc<()>,
}

impl<C: Clone> Streams<C> {
    /// Over ways that are made like this: over a connection of its own each, once it is used.
    pub(super) fn over(make: impl Fn() -> C + Send + Sync + 'static) -> Self {
        let max_of_a_way = Http2Limits::default().max_concurrent_streams;
        let max_of_a_way = usize::try_from(max_of_a_way).unwrap_or(usize::MAX);
        Self { make: Box::new(make), max_of_a_way, ways: Mutex::default() }
    }

    /// The way for one more stream.
    pub(super) fn one_more(&self) -> (C, Seat) {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |way: &&OneWay<C>| Arc::strong_count(&way.open) <= self.max_of_a_way;
        if let Some(way) = ways.iter().find(has_room) {
            return way.seat();
        }
        let way = OneWay { client: (self.make)(), open: Arc::default() };
        let seat = way.seat();
        ways.push(way);
        seat
    }
}

impl<C: Clone> OneWay<C> {
    fn seat(&self) -> (C, Seat) {
        (self.client.clone(), Seat { _open: Arc::clone(&self.open) })
    }
}
