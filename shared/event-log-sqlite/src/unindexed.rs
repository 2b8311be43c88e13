//! The newest events, which the index of streams in the file does not have yet: where each is, and what
//! is to be entered next. Entering them one commit at a time would write a page for nearly each of
//! them; many thousand at once, in the order of the index, share their pages.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use configapi_event_log::domain::{Position, Version};
use configapi_event_log::{Epoch, StoredEvent};

/// How many events are gathered before they are entered. Twice as many are known here at most, beside
/// the last batch.
const MAX_GATHERED: usize = 1 << 16;
/// How much their names may weigh, each counted with each event: they have up to half a kibibyte.
const MAX_GATHERED_BYTES: usize = 4 << 20;
/// How many are entered with one commit, or somewhat more: few commits have to enter any, and none
/// takes long. More the further the index is behind, for what a commit enters counts for nothing if we
/// are killed before the last.
const SLICE: usize = 2_048;

/// An event of a stream, in the order of the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) stream: Arc<str>,
    pub(crate) version: Version,
    pub(crate) position: Position,
}

impl Entry {
    pub(crate) fn of(event: &StoredEvent) -> Self {
        let StoredEvent { stream, version, position, .. } = event;
        Self { stream: Arc::clone(stream), version: *version, position: *position }
    }
}

/// An event of a stream that is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sought {
    Version(Version),
    /// The last one up to there.
    UpTo(Position),
}

impl Sought {
    /// Where it is, if it may be among these of its stream, which are in order.
    fn within(self, events: &[Entry]) -> Option<Position> {
        let found = match self {
            Self::Version(version) => {
                events.binary_search_by_key(&version, |entry| entry.version).ok()
            }
            Self::UpTo(position) => {
                events.partition_point(|entry| entry.position <= position).checked_sub(1)
            }
        };
        Some(events[found?].position)
    }
}

/// What is to be entered with one commit.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) entries: Vec<Entry>,
    /// Set if nothing up to there is missing in the index then.
    pub(crate) completes_to: Option<Position>,
}

/// How much of the log this process knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KnownTo {
    /// In which epoch; none if nobody has read it yet.
    pub(crate) epoch: Option<Epoch>,
    /// Up to where.
    pub(crate) to: Option<Position>,
}

/// The events that the index does not have, as far as this process knows the log.
#[derive(Debug, Default)]
pub(crate) struct Unindexed(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    known: KnownTo,
    /// Up to where the index is known to lack nothing.
    indexed_to: Position,
    /// The newest of each stream, of all below.
    newest: HashMap<Arc<str>, (Version, Position)>,
    gathered: Gathered,
    entering: Entering,
}

/// Events that wait until there are enough of them.
#[derive(Debug, Default)]
struct Gathered {
    /// In order, each; one was gathered after the other.
    runs: VecDeque<Vec<Entry>>,
    /// What will be the next of them, as it comes.
    last: Vec<Entry>,
    events: usize,
    name_bytes: usize,
}

/// Events that are being entered.
#[derive(Debug, Default)]
struct Entering {
    /// Those that no slice has yet: the first of each run, and which run that is.
    firsts: BinaryHeap<Reverse<(Entry, usize)>>,
    runs: Vec<std::vec::IntoIter<Entry>>,
    /// What is due, until it is entered.
    slice: Option<Arc<Slice>>,
    events: usize,
    /// How many of them a slice has had.
    sliced: usize,
    /// How many were gathered by then.
    gathered: usize,
    up_to: Position,
}

impl Unindexed {
    pub(crate) fn known(&self) -> KnownTo {
        self.lock().known
    }

    /// Forgets all that is known, unless somebody did since this was.
    pub(crate) fn forget(&self, known: KnownTo) {
        let mut kept = self.lock();
        if kept.known.epoch == known.epoch {
            *kept = Kept::default();
        }
    }

    /// Takes note of what the log says in an epoch: up to where the index lacks nothing, which need not be
    /// known here, and events. Answers whether it did: not if another epoch is known.
    pub(crate) fn learn(
        &self,
        epoch: Epoch,
        indexed_to: Position,
        events: impl IntoIterator<Item = Entry>,
    ) -> bool {
        let mut kept = self.lock();
        if *kept.known.epoch.get_or_insert(epoch) != epoch {
            return false;
        }
        kept.is_indexed_to(indexed_to);
        kept.note(events);
        true
    }

    /// Takes note of events that were appended in an epoch.
    pub(crate) fn note(&self, epoch: Epoch, events: impl IntoIterator<Item = Entry>) {
        let mut kept = self.lock();
        if kept.known.epoch == Some(epoch) {
            kept.note(events);
        }
    }

    /// Where the newest event of each of these streams is, if the index does not have it.
    pub(crate) fn newest(&self, streams: &[&str]) -> Vec<Option<Position>> {
        let kept = self.lock();
        streams
            .iter()
            .map(|stream| kept.newest.get(*stream).map(|(_, position)| *position))
            .collect()
    }

    /// Where the events of streams are that are sought, if the index may not have them.
    pub(crate) fn find<'a>(
        &self,
        sought: impl Iterator<Item = (&'a str, Sought)>,
    ) -> Vec<Option<Position>> {
        let kept = self.lock();
        sought
            .map(|(stream, sought)| {
                // Most streams have none here.
                kept.newest.get(stream)?;
                let parts = kept.entering.of(stream).chain(kept.gathered.of(stream));
                parts.filter_map(|part| sought.within(part)).max()
            })
            .collect()
    }

    /// The first of these events whose version is taken, by one that is known here or among them.
    pub(crate) fn taken(&self, events: &[Entry]) -> Option<Position> {
        let kept = self.lock();
        let mut among_them: HashMap<&str, Version> = HashMap::with_capacity(events.len());
        let taken = events.iter().find(|entry| {
            let before = among_them.insert(&entry.stream, entry.version);
            let before = before.or_else(|| kept.newest.get(&entry.stream).map(|newest| newest.0));
            before.is_some_and(|before| entry.version <= before)
        });
        taken.map(|entry| entry.position)
    }

    /// What is to be entered with the next commit, until it is. Entering keeps pace with gathering: it is
    /// done before there is enough for the next time.
    pub(crate) fn due(&self) -> Option<Arc<Slice>> {
        let mut kept = self.lock();
        if kept.gathered.is_enough() && kept.entering.is_done() {
            kept.entering = kept.gathered.take_oldest();
        }
        let Kept { gathered, entering, .. } = &mut *kept;
        let since = gathered.events.saturating_sub(entering.gathered);
        let most = SLICE + gathered.share_of(SLICE) + since;
        let slice = entering.due(gathered.share_of(entering.events), most);
        if slice.is_some() {
            entering.gathered = gathered.events;
        }
        slice
    }

    /// Says that what was due is in the index.
    pub(crate) fn is_entered(&self, slice: &Arc<Slice>) {
        let mut kept = self.lock();
        let entered = kept.entering.slice.take_if(|due| Arc::ptr_eq(due, slice));
        if let Some(position) = entered.and_then(|slice| slice.completes_to) {
            kept.is_indexed_to(position);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// In their order. Of those that are known already, and of those that do not follow from what is
    /// known, it takes no note.
    fn note(&mut self, events: impl IntoIterator<Item = Entry>) {
        for entry in events {
            if self.known.to.is_some_and(|known_to| known_to.next() == entry.position) {
                self.known.to = Some(entry.position);
                self.add(entry);
            }
        }
    }

    fn add(&mut self, entry: Entry) {
        let newest = (entry.version, entry.position);
        if let Some(known) = self.newest.get_mut(&entry.stream) {
            *known = newest;
        } else {
            self.newest.insert(Arc::clone(&entry.stream), newest);
        }
        self.gathered.add(entry);
    }

    fn is_indexed_to(&mut self, position: Position) {
        self.known.to = self.known.to.max(Some(position));
        if position <= self.indexed_to {
            return;
        }
        self.indexed_to = position;
        self.newest.retain(|_, (_, place)| *place > position);
        if self.entering.up_to <= position {
            self.entering = Entering::default();
        }
        self.gathered.forget_to(position);
    }
}

impl Gathered {
    fn add(&mut self, entry: Entry) {
        self.events += 1;
        self.name_bytes += entry.stream.len();
        self.last.push(entry);
        if self.last.len() == SLICE {
            self.end_run();
        }
    }

    fn end_run(&mut self) {
        let mut run = std::mem::take(&mut self.last);
        run.sort_unstable();
        self.runs.push_back(run);
    }

    /// Whether there are as many as are entered in one go.
    fn is_enough(&self) -> bool {
        self.share_of(MAX_GATHERED) >= MAX_GATHERED
    }

    /// Those of a stream, in parts that are in order.
    fn of(&self, stream: &str) -> impl Iterator<Item = &[Entry]> {
        let last = self.last.iter().filter(move |entry| *entry.stream == *stream);
        self.runs.iter().map(move |run| within(run, stream)).chain(last.map(slice::from_ref))
    }

    /// For when others entered them too.
    fn forget_to(&mut self, position: Position) {
        if self.runs.iter().flatten().chain(&self.last).all(|entry| entry.position > position) {
            return;
        }
        let Self { runs, last, .. } = std::mem::take(self);
        let rest = runs.into_iter().flatten().chain(last);
        let mut rest: Vec<_> = rest.filter(|entry| entry.position > position).collect();
        rest.sort_unstable_by_key(|entry| entry.position);
        for entry in rest {
            self.add(entry);
        }
    }

    /// How much of this number is what is gathered of what may be.
    fn share_of(&self, number: usize) -> usize {
        let by_events = self.events * number / MAX_GATHERED;
        by_events.max(self.name_bytes * number / MAX_GATHERED_BYTES)
    }

    /// Takes out the oldest, to be entered: no more than are entered in one go. After a start there may be
    /// many more, for all that was not entered to the end before it begins anew.
    fn take_oldest(&mut self) -> Entering {
        if self.runs.is_empty() {
            self.end_run();
        }
        let mut oldest = Self::default();
        while !oldest.is_enough()
            && let Some(run) = self.runs.pop_front()
        {
            oldest.events += run.len();
            oldest.name_bytes += run.iter().map(|entry| entry.stream.len()).sum::<usize>();
            oldest.runs.push_back(run);
        }
        self.events -= oldest.events;
        self.name_bytes -= oldest.name_bytes;
        oldest.into_entering(self.events)
    }

    fn into_entering(self, gathered: usize) -> Entering {
        let newest = self.runs.back().into_iter().flatten().map(|entry| entry.position);
        let up_to = newest.max().unwrap_or_default();
        let mut runs: Vec<_> = self.runs.into_iter().map(Vec::into_iter).collect();
        let firsts = runs.iter_mut().enumerate();
        let firsts = firsts.filter_map(|(run, entries)| Some(Reverse((entries.next()?, run))));
        let firsts = firsts.collect();
        Entering { firsts, runs, events: self.events, gathered, up_to, ..Entering::default() }
    }
}

impl Entering {
    fn is_done(&self) -> bool {
        self.slice.is_none() && self.firsts.is_empty()
    }

    /// Those of a stream, in parts that are in order.
    fn of(&self, stream: &str) -> impl Iterator<Item = &[Entry]> {
        let due = self.slice.iter().map(move |slice| within(&slice.entries, stream));
        let firsts = self.firsts.iter().map(|Reverse((first, _))| first);
        let firsts = firsts.filter(move |first| *first.stream == *stream).map(slice::from_ref);
        let rest = self.runs.iter().map(move |run| within(run.as_slice(), stream));
        due.chain(firsts).chain(rest)
    }

    /// The next slice, if so many of all should be entered by now; so many at most.
    fn due(&mut self, enough: usize, most: usize) -> Option<Arc<Slice>> {
        let enough = enough.min(self.events).min(self.sliced + most);
        let is_due = enough == self.events || enough >= self.sliced + SLICE;
        if self.slice.is_none() && is_due && enough > self.sliced {
            let count = enough - self.sliced;
            let entries: Vec<_> = std::iter::from_fn(|| self.next()).take(count).collect();
            self.sliced = enough;
            let completes_to = self.firsts.is_empty().then_some(self.up_to);
            self.slice = Some(Arc::new(Slice { entries, completes_to }));
        }
        self.slice.clone()
    }

    fn next(&mut self) -> Option<Entry> {
        let Reverse((entry, run)) = self.firsts.pop()?;
        if let Some(next) = self.runs[run].next() {
            self.firsts.push(Reverse((next, run)));
        }
        Some(entry)
    }
}

/// The part of a stream, where all are in order.
fn within<'a>(entries: &'a [Entry], stream: &str) -> &'a [Entry] {
    let rest = &entries[entries.partition_point(|entry| *entry.stream < *stream)..];
    &rest[..rest.partition_point(|entry| *entry.stream == *stream)]
}
