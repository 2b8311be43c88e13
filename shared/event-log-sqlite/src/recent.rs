//! What this process appended last, for its own readers: a reader beside the writer is told of an
//! append at once, and would look in the file for what was written to it a moment before. A copy is
//! kept from when somebody follows the log, of what is committed, and of no more than so many bytes;
//! whoever wants anything else reads the file.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use configapi_event_log::domain::Position;
use configapi_event_log::{Epoch, Hash, Page, PageBuilder, PageLimit, StoredEvent};

/// A few commits of small values.
const MAX_BYTES: usize = 1 << 20;

/// The newest events, without a gap between them.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    is_followed: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    epoch: Option<Epoch>,
    events: VecDeque<StoredEvent>,
    bytes: usize,
}

impl Recent {
    /// Says that somebody in this process follows the log.
    pub(crate) fn follow(&self) {
        self.is_followed.store(true, Ordering::Relaxed);
    }

    /// Keeps what was committed, which weighs so much, if somebody may want it. What does not follow from
    /// what is kept takes its place.
    pub(crate) fn keep(&self, epoch: Epoch, events: Vec<StoredEvent>, bytes: usize) {
        if !self.is_followed.load(Ordering::Relaxed) || bytes > MAX_BYTES {
            return self.forget();
        }
        let mut kept = self.lock();
        let before = kept.events.back().map(|row| row.position.next());
        let follows = before.is_some() && before == events.first().map(|row| row.position);
        if !follows || kept.epoch != Some(epoch) {
            *kept = Kept { epoch: Some(epoch), ..Kept::default() };
        }
        for row in events {
            kept.bytes += row.weight_bytes();
            kept.events.push_back(row);
        }
        while kept.bytes > MAX_BYTES
            && let Some(oldest) = kept.events.pop_front()
        {
            kept.bytes -= oldest.weight_bytes();
        }
    }

    /// Keeps nothing any more of what was committed by now.
    pub(crate) fn forget(&self) {
        *self.lock() = Kept::default();
    }

    /// The page that begins with the row of this hash there, if it is at hand and tells anything beyond
    /// that row.
    pub(crate) fn page(&self, from: Position, hash: Hash, limit: PageLimit) -> Option<Page> {
        let kept = self.lock();
        let first = kept.events.front()?.position;
        let skipped = usize::try_from(from.0.checked_sub(first.0)?).ok()?;
        if kept.events.get(skipped)?.hash != hash || skipped + 1 == kept.events.len() {
            return None;
        }
        let mut page = PageBuilder::new(limit);
        for row in kept.events.range(skipped..) {
            if !page.push(row.clone()) {
                break;
            }
        }
        page.finish(kept.epoch?).ok()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
