//! Epochs that say that the log lost what was read from it, and whether they say all of it. One that began
//! after the log was written on comes too late: what lies before it has had two meanings, and whoever has seen
//! the first one would take the second for it.

use configapi_domain::Position;
use configapi_event_log::Epoch;

use super::Tailer;
use super::establish::BEHIND;
use super::trouble::Trouble;
use crate::view::LogFacts;

impl Tailer {
    /// Refuses a log that does not hold what its epochs say is kept of all that was read up to this one.
    pub(super) async fn is_told_in_time(
        &self,
        facts: &LogFacts,
        seen_in: Epoch,
    ) -> Result<(), Trouble> {
        let Some(projector) = &self.projector else { return Ok(()) };
        let state = projector.state();
        let kept = facts.lineage.kept_of(seen_in, state.position());
        let read = state.event(kept).map_or(state.genesis().hash, |event| event.hash());
        match self.row(kept).await? {
            (Some(row), _) if row.hash == read => Ok(()),
            (None, reach) if reach.may_lag() => {
                Err(Trouble::Silent { kind: "standby_behind", why: BEHIND.to_owned() })
            }
            (Some(_) | None, _) => Err(self.too_late(facts, seen_in, kept)),
        }
    }

    fn too_late(&self, facts: &LogFacts, seen_in: Epoch, position: Position) -> Trouble {
        let later = facts.lineage.epochs().iter().filter(|start| start.epoch > seen_in);
        let first = later.min_by_key(|start| start.first_position);
        let which = first.map_or_else(String::new, |start| {
            format!("epoch {}, which began at {}", start.epoch, start.first_position)
        });
        let anew = match self.snapshots {
            Some(_) => "start this server anew without its snapshots (CONFIGAPI_SNAPSHOT_DIR)",
            None => "start this server anew",
        };
        let newest = facts.lineage.current();
        let why = format!(
            "the log no longer holds the event at position {position} that was read from it, and {which}, is \
             too late to say so: what lies before it has had two meanings; an operator has to bring the lost \
             events back, in an epoch above {newest}, or, if the log is right as it is, {anew}"
        );
        Trouble::Broken { kind: "anchor_gone", why }
    }
}
