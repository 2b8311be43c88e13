//! The ways to one server, each over a connection of its own. A connection has room for so many calls and
//! streams, and whoever comes next would wait for one of them to end, unseen; so there is another way then.

use std::sync::{Arc, Mutex, PoisonError};

use configapi_runtime::grpc::Http2Limits;

/// Room that is left on each connection for those who ask how its server is.
const ROOM_FOR_PROBES: usize = 10;

/// As many ways as are needed for what is open. Who opens it bounds how much that is.
pub(crate) struct Ways<C> {
    make: Box<dyn Fn() -> C + Send + Sync>,
    max_of_each: usize,
    first: OneWay<C>,
    /// Only used while the first one is full.
    others: Mutex<Vec<OneWay<C>>>,
}

struct OneWay<C> {
    client: C,
    /// Has a clone for each call and stream that is open.
    open: Arc<()>,
}

/// The place of a call or stream, for as long as it is open.
#[derive(Debug)]
pub(super) struct Seat {
    _open: Arc<()>,
}

impl<C: Clone> Ways<C> {
    /// This way, and others that are made when they are needed.
    pub(super) fn new(first: C, make: impl Fn() -> C + Send + Sync + 'static) -> Self {
        // As many as our servers let be open.
        let max_streams = Http2Limits::default().max_concurrent_streams;
        let max_streams = usize::try_from(max_streams).unwrap_or(usize::MAX);
        Self {
            make: Box::new(make),
            max_of_each: max_streams.saturating_sub(ROOM_FOR_PROBES),
            first: OneWay::new(first),
            others: Mutex::default(),
        }
    }

    /// The way for one more.
    pub(super) fn one_more(&self) -> (C, Seat) {
        self.first.one_more(self.max_of_each).unwrap_or_else(|| self.one_more_of_others())
    }

    fn one_more_of_others(&self) -> (C, Seat) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = others.iter().find_map(|way| way.one_more(self.max_of_each)) {
            return found;
        }
        let way = OneWay::new((self.make)());
        let found = way.seated(Arc::clone(&way.open));
        others.push(way);
        found
    }
}

impl<C: Clone> OneWay<C> {
    fn new(client: C) -> Self {
        Self { client, open: Arc::default() }
    }

    fn one_more(&self, max: usize) -> Option<(C, Seat)> {
        let open = Arc::clone(&self.open);
        // One of them is the way's own.
        (Arc::strong_count(&open) - 1 <= max).then(|| self.seated(open))
    }

    fn seated(&self, open: Arc<()>) -> (C, Seat) {
        (self.client.clone(), Seat { _open: open })
    }
}
