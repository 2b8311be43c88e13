//! The newest events, which the indexes in the file do not have yet: where each is, and what is to be
//! entered next. Entering them one commit at a time would write a page for nearly each of them, of each
//! index; many thousand at once, in the order of the index, share their pages.

mod entered;
mod entering;
mod gathered;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use configapi_event_log::domain::{Position, Version};
use configapi_event_log::{Epoch, StoredEvent};

use crate::key::Key;

use self::entered::Entered;
use self::entering::Entering;
pub(crate) use self::entering::Slice;
use self::gathered::Gathered;

/// How many are entered with one commit, or somewhat more: few commits have to enter any, and none
/// takes long. More the further the indexes are behind, for what a commit enters counts for nothing if
/// we are killed before the last.
const SLICE: usize = 2_048;

/// A new event, by what it is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newcomer {
    pub(crate) position: Position,
    pub(crate) stream: Arc<str>,
    pub(crate) version: Version,
    pub(crate) request_id: Option<Arc<str>>,
}

impl Newcomer {
    pub(crate) fn of(event: &StoredEvent) -> Self {
        let StoredEvent { position, stream, version, request_id, .. } = event;
        Self {
            position: *position,
            stream: Arc::clone(stream),
            version: *version,
            request_id: request_id.clone(),
        }
    }
}

/// Where an event of a stream is, in the order of the index of streams.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OfStream {
    pub(crate) key: Key,
    pub(crate) stream: Arc<str>,
    pub(crate) version: Version,
    pub(crate) position: Position,
}

/// Where the first event of a request is, in the order of the index of requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OfRequest {
    pub(crate) id: Arc<str>,
    pub(crate) position: Position,
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
    fn within(self, events: &[OfStream]) -> Option<Position> {
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

/// How much of the log this process knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KnownTo {
    /// In which epoch; none if nobody has read it yet.
    pub(crate) epoch: Option<Epoch>,
    /// Up to where.
    pub(crate) to: Option<Position>,
}

/// The events that the indexes do not have, as far as this process knows the log.
#[derive(Debug, Default)]
pub(crate) struct Unindexed(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    known: KnownTo,
    /// Up to where the indexes are known to lack nothing.
    indexed_to: Position,
    /// The newest of each stream, of all below.
    newest: HashMap<Arc<str>, (Version, Position)>,
    /// Those that have a request id.
    requests: HashMap<Arc<str>, Position>,
    gathered: Gathered,
    entering: Entering,
    entered: Entered,
}

/// What a new event must have for itself, and another one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The version of the one at this position.
    Version(Position),
    RequestId,
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

    /// Takes note of what the log says in an epoch: up to where the indexes lack nothing, which need not be
    /// known here, and events. Answers whether it did: not if another epoch is known.
    pub(crate) fn learn(
        &self,
        epoch: Epoch,
        indexed_to: Position,
        events: impl IntoIterator<Item = Newcomer>,
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
    pub(crate) fn note(&self, epoch: Epoch, events: impl IntoIterator<Item = Newcomer>) {
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

    /// Where the events with these request ids are, if the index does not have them.
    pub(crate) fn requested(&self, ids: &[&str]) -> Vec<Option<Position>> {
        let kept = self.lock();
        ids.iter().map(|id| kept.requests.get(*id).copied()).collect()
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

    /// What of these events is taken first, by an event that is known here or one of them; if nothing is, those
    /// whose version only the index can tell of.
    pub(crate) fn taken<'a>(&self, events: &'a [Newcomer]) -> Result<Vec<&'a Newcomer>, Taken> {
        let kept = self.lock();
        let mut versions: HashMap<&str, Version> = HashMap::with_capacity(events.len());
        let mut ids: HashSet<&str> = HashSet::new();
        let mut unproven = Vec::new();
        for event in events {
            let before = versions.insert(&event.stream, event.version);
            match before.or_else(|| kept.newest_version(&event.stream)) {
                Some(before) if event.version <= before => {
                    return Err(Taken::Version(event.position));
                }
                Some(_) => {}
                None => unproven.push(event),
            }
            if let Some(id) = event.request_id.as_deref()
                && (!ids.insert(id) || kept.requests.contains_key(id))
            {
                return Err(Taken::RequestId);
            }
        }
        Ok(unproven)
    }

    /// What is to be entered with the next commit, until it is. Entering keeps pace with gathering: it is
    /// done before there is enough for the next time.
    pub(crate) fn due(&self) -> Option<Arc<Slice>> {
        let mut kept = self.lock();
        if kept.gathered.is_enough() && kept.entering.is_done() {
            kept.entering = kept.gathered.take_oldest();
        }
        let Kept { gathered, entering, .. } = &mut *kept;
        let most = SLICE + gathered.share_of(SLICE);
        entering.due(gathered.share_of(entering.events()), most, gathered.events())
    }

    /// Says that what was due is in the indexes.
    pub(crate) fn is_entered(&self, slice: &Arc<Slice>) {
        let mut kept = self.lock();
        if let Some(position) = kept.entering.is_entered(slice) {
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
    fn note(&mut self, events: impl IntoIterator<Item = Newcomer>) {
        for event in events {
            if self.known.to.is_some_and(|known_to| known_to.next() == event.position) {
                self.known.to = Some(event.position);
                self.add(event);
            }
        }
    }

    fn add(&mut self, event: Newcomer) {
        let newest = (event.version, event.position);
        if let Some(known) = self.newest.get_mut(&event.stream) {
            *known = newest;
        } else {
            self.newest.insert(Arc::clone(&event.stream), newest);
        }
        if let Some(id) = &event.request_id {
            self.requests.insert(Arc::clone(id), event.position);
        }
        self.gathered.add(event);
    }

    fn newest_version(&self, stream: &str) -> Option<Version> {
        let newest = self.newest.get(stream).map(|(version, _)| *version);
        newest.or_else(|| self.entered.version_of(stream))
    }

    fn is_indexed_to(&mut self, position: Position) {
        if self.known.to < Some(position) {
            // Events between are not known here, and may be of any stream.
            self.known.to = Some(position);
            self.entered = Entered::default();
            self.newest.clear();
        }
        if position <= self.indexed_to {
            return;
        }
        self.indexed_to = position;
        let entered = self.newest.extract_if(|_, (_, place)| *place <= position);
        self.entered.take_in(entered.map(|(stream, (version, _))| (stream, version)).collect());
        self.requests.retain(|_, place| *place > position);
        if self.entering.up_to() <= position {
            self.entering = Entering::default();
        }
        self.gathered.forget_to(position);
    }
}

/// The part of a stream, where all are in order.
fn within<'a>(entries: &'a [OfStream], stream: &str) -> &'a [OfStream] {
    let wanted = (Key::of(stream), stream);
    let rest = &entries[entries.partition_point(|entry| (entry.key, &*entry.stream) < wanted)..];
    &rest[..rest.partition_point(|entry| *entry.stream == *stream)]
}
