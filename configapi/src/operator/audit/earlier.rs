//! Events that were delivered before the last one: the nearest of them all, and farther back fewer and
//! fewer. An epoch may begin long after a log lost its end and was written on; where the two parted, only
//! the hashes of what was delivered can tell.

use configapi_event_log::Tail;
use configapi_event_log::domain::Position;

/// How far back all of them are kept: a failover that loses a few events has none told again.
const ALL_WITHIN: u64 = 16;

/// The places after some events, in the order of the log. However long that is, there are at most
/// [`ALL_WITHIN`] and two for each power of two; and beyond the nearest ones none is more than twice as
/// far back as the one before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earlier(Vec<Tail>);

impl Earlier {
    /// As they were kept, before an event at this position; none if they are in no order.
    pub fn before(position: Position, kept: Vec<Tail>) -> Option<Self> {
        let next = kept.iter().skip(1).map(Tail::position).chain([position]);
        let in_order = kept.iter().zip(next).all(|(one, next)| one.position() < next);
        in_order.then_some(Self(kept))
    }

    /// All of them, the newest last.
    pub fn places(&self) -> &[Tail] {
        &self.0
    }

    /// Takes up some more, in the order of the log, and lets go of those that are too many for one who
    /// stands at this position.
    pub fn take_up(&mut self, more: impl IntoIterator<Item = Tail>, position: Position) {
        self.0.extend(more);
        let back = |place: &Tail| position.0.saturating_sub(place.position().0);
        let mut kept: Vec<Tail> = Vec::new();
        let mut older = std::mem::take(&mut self.0).into_iter().rev().peekable();
        while let Some(place) = older.next() {
            let is_needed = back(&place) <= ALL_WITHIN
                || match (kept.last(), older.peek()) {
                    (Some(newer), Some(older)) => back(older) > back(newer).saturating_mul(2),
                    _ => true,
                };
            if is_needed {
                kept.push(place);
            }
        }
        kept.reverse();
        self.0 = kept;
    }
}
