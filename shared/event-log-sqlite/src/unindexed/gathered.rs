//! Events that wait until there are enough of them to be entered.

use std::collections::VecDeque;
use std::slice;

use configapi_event_log::domain::Position;

use crate::key::Key;

use super::entering::Entering;
use super::{Newcomer, OfRequest, OfStream, SLICE, within};

/// How many events are gathered before they are entered. Twice as many are known here at most, beside
/// the last batch.
const MAX_GATHERED: usize = 1 << 16;
/// How much the names of their streams may weigh, each counted with each event: they have up to half a
/// kibibyte.
const MAX_GATHERED_BYTES: usize = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// In order, each; one was gathered after the other.
    runs: VecDeque<Run>,
    /// What will be the next of them, as it comes.
    last: Run,
    events: usize,
    name_bytes: usize,
}

/// Events, in the orders of both indexes.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub streams: Vec<OfStream>,
    /// Of those of them that have a request id.
    pub requests: Vec<OfRequest>,
}

impl Run {
    fn name_bytes(&self) -> usize {
        self.streams.iter().map(|entry| entry.stream.len()).sum()
    }

    fn newest(&self) -> Option<Position> {
        self.streams.iter().map(|entry| entry.position).max()
    }
}

impl Gathered {
    pub fn events(&self) -> usize {
        self.events
    }

    pub fn add(&mut self, event: Newcomer) {
        let Newcomer { position, stream, version, request_id } = event;
        self.events += 1;
        self.name_bytes += stream.len();
        self.last.requests.extend(request_id.map(|id| OfRequest { id, position }));
        self.last.streams.push(OfStream { key: Key::of(&stream), stream, version, position });
        if self.last.streams.len() == SLICE {
            self.end_run();
        }
    }

    fn end_run(&mut self) {
        let mut run = std::mem::take(&mut self.last);
        run.streams.sort_unstable();
        run.requests.sort_unstable();
        self.runs.push_back(run);
    }

    /// Whether there are as many as are entered in one go.
    pub fn is_enough(&self) -> bool {
        self.share_of(MAX_GATHERED) >= MAX_GATHERED
    }

    /// Those of a stream, in parts that are in order.
    pub fn of(&self, stream: &str) -> impl Iterator<Item = &[OfStream]> {
        let last = self.last.streams.iter().filter(move |entry| *entry.stream == *stream);
        let runs = self.runs.iter().map(move |run| within(&run.streams, stream));
        runs.chain(last.map(slice::from_ref))
    }

    /// For when others entered them too.
    pub fn forget_to(&mut self, position: Position) {
        while self.runs.front().is_some_and(|run| run.newest() <= Some(position)) {
            self.runs.pop_front();
        }
        for run in self.runs.front_mut().into_iter().chain([&mut self.last]) {
            run.streams.retain(|entry| entry.position > position);
            run.requests.retain(|entry| entry.position > position);
        }
        let runs = || self.runs.iter().chain([&self.last]);
        let events = runs().map(|run| run.streams.len()).sum();
        let name_bytes = runs().map(Run::name_bytes).sum();
        (self.events, self.name_bytes) = (events, name_bytes);
    }

    /// How much of this number is what is gathered of what may be.
    pub fn share_of(&self, number: usize) -> usize {
        let by_events = self.events * number / MAX_GATHERED;
        by_events.max(self.name_bytes * number / MAX_GATHERED_BYTES)
    }

    /// Takes out the oldest, to be entered: no more than are entered in one go. After a start there may be
    /// many more, for all that was not entered to the end before it begins anew.
    pub fn take_oldest(&mut self) -> Entering {
        if self.runs.is_empty() {
            self.end_run();
        }
        let mut oldest = Self::default();
        while !oldest.is_enough()
            && let Some(run) = self.runs.pop_front()
        {
            oldest.events += run.streams.len();
            oldest.name_bytes += run.name_bytes();
            oldest.runs.push_back(run);
        }
        self.events -= oldest.events;
        self.name_bytes -= oldest.name_bytes;
        let up_to = oldest.runs.back().and_then(Run::newest).unwrap_or_default();
        Entering::new(oldest.runs, up_to, self.events)
    }
}
