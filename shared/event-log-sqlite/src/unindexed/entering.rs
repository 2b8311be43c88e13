//! Events that are being entered into the indexes, a slice with each commit, in the order of each.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::slice;
use std::sync::Arc;
use std::vec::IntoIter;

use configapi_event_log::domain::Position;

use super::gathered::Run;
use super::{OfRequest, OfStream, SLICE, within};

/// What is to be entered with one commit.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) streams: Vec<OfStream>,
    pub(crate) requests: Vec<OfRequest>,
    /// Set if nothing up to there is missing in the indexes then.
    pub(crate) completes_to: Option<Position>,
}

#[derive(Debug, Default)]
pub(super) struct Entering {
    streams: Merge<OfStream>,
    requests: Merge<OfRequest>,
    /// What is due, until it is entered.
    slice: Option<Arc<Slice>>,
    /// How many there are.
    events: usize,
    /// How many of them a slice has had.
    sliced: usize,
    /// How many of them have a request id.
    with_id: usize,
    /// How many were gathered by then.
    gathered: usize,
    up_to: Position,
}

impl Entering {
    /// With what comes after them, the number of events that are gathered already.
    pub fn new(runs: VecDeque<Run>, up_to: Position, gathered: usize) -> Self {
        let (streams, requests): (Vec<_>, Vec<_>) =
            runs.into_iter().map(|run| (run.streams, run.requests)).unzip();
        let (streams, requests) = (Merge::new(streams), Merge::new(requests));
        let (events, with_id) = (streams.left(), requests.left());
        Self { streams, requests, events, with_id, gathered, up_to, ..Self::default() }
    }

    pub fn events(&self) -> usize {
        self.events
    }

    pub fn up_to(&self) -> Position {
        self.up_to
    }

    pub fn is_done(&self) -> bool {
        self.slice.is_none() && self.sliced == self.events
    }

    /// Those of a stream, in parts that are in order.
    pub fn of(&self, stream: &str) -> impl Iterator<Item = &[OfStream]> {
        let due = self.slice.iter().map(move |slice| within(&slice.streams, stream));
        let Merge { firsts, runs } = &self.streams;
        let firsts = firsts.iter().map(|Reverse((first, _))| first);
        let firsts = firsts.filter(move |first| *first.stream == *stream).map(slice::from_ref);
        let rest = runs.iter().map(move |run| within(run.as_slice(), stream));
        due.chain(firsts).chain(rest)
    }

    /// The next slice, if so many of all should be entered by now, while so many are gathered. It has more
    /// than most if more have come since the last one.
    pub fn due(&mut self, enough: usize, most: usize, gathered: usize) -> Option<Arc<Slice>> {
        let most = most + gathered.saturating_sub(self.gathered);
        let enough = enough.min(self.events).min(self.sliced + most);
        let is_due = enough == self.events || enough >= self.sliced + SLICE;
        if self.slice.is_none() && is_due && enough > self.sliced {
            // Both are through at the same time.
            let requests = self.with_id * enough / self.events;
            let had = self.with_id * self.sliced / self.events;
            self.slice = Some(Arc::new(Slice {
                streams: self.streams.take(enough - self.sliced),
                requests: self.requests.take(requests - had),
                completes_to: (enough == self.events).then_some(self.up_to),
            }));
            self.sliced = enough;
        }
        if self.slice.is_some() {
            self.gathered = gathered;
        }
        self.slice.clone()
    }

    /// Takes note that this was entered. Answers up to where nothing is missing, if it was the last.
    pub fn is_entered(&mut self, slice: &Arc<Slice>) -> Option<Position> {
        self.slice.take_if(|due| Arc::ptr_eq(due, slice))?.completes_to
    }
}

/// Runs that are in order, each, on their way into one order.
#[derive(Debug)]
struct Merge<T> {
    /// The first of each run, and which run that is.
    firsts: BinaryHeap<Reverse<(T, usize)>>,
    runs: Vec<IntoIter<T>>,
}

impl<T: Ord> Default for Merge<T> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<T: Ord> Merge<T> {
    fn new(runs: Vec<Vec<T>>) -> Self {
        let mut runs: Vec<_> = runs.into_iter().map(Vec::into_iter).collect();
        let firsts = runs.iter_mut().enumerate();
        let firsts = firsts.filter_map(|(run, entries)| Some(Reverse((entries.next()?, run))));
        Self { firsts: firsts.collect(), runs }
    }

    fn left(&self) -> usize {
        self.firsts.len() + self.runs.iter().map(ExactSizeIterator::len).sum::<usize>()
    }

    fn take(&mut self, count: usize) -> Vec<T> {
        let mut taken = Vec::with_capacity(count.min(self.left()));
        taken.extend(std::iter::from_fn(|| self.next()).take(count));
        taken
    }

    fn next(&mut self) -> Option<T> {
        let Reverse((entry, run)) = self.firsts.pop()?;
        if let Some(next) = self.runs[run].next() {
            self.firsts.push(Reverse((next, run)));
        }
        Some(entry)
    }
}
