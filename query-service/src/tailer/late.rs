//! Epochs that say that the log lost what was read from it, and whether they say all of it. One that began
//! after the log was written on comes too late: what lies before it has had two meanings, and whoever has seen
//! the first one would take the second for it.

use configapi_domain::Position;
use configapi_event_log::{Epoch, Hash};

use super::Tailer;
use super::establish::{BEHIND, drop_aside, lost_before_the_start};
use super::trouble::Trouble;
use crate::snapshot::Candidate;
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

    /// The same of a snapshot that the log does not confirm: this server has read it in an earlier life. Its
    /// epochs may well say that its end is lost, but only if they say all of it.
    pub(super) async fn is_snapshot_told_in_time(
        &mut self,
        candidate: &Candidate,
        facts: &LogFacts,
    ) -> Result<(), Trouble> {
        let kept = facts.lineage.kept_of(candidate.epoch, candidate.anchor.position);
        if facts.log_id != Some(candidate.log_id) || kept == candidate.anchor.position {
            return Ok(());
        }
        let Some(held) = self.held(candidate, kept).await? else { return Ok(()) };
        match self.row(kept).await? {
            (Some(row), _) if row.hash == held => Ok(()),
            (None, reach) if reach.may_lag() => Ok(()),
            (Some(_) | None, _) => Err(lost_before_the_start(candidate, kept, facts)),
        }
    }

    /// The hash of an event that a snapshot holds; none if it is not as it was written.
    pub(super) async fn held(
        &mut self,
        candidate: &Candidate,
        position: Position,
    ) -> Result<Option<Hash>, Trouble> {
        // All of it is read once only, however often the log is looked at again.
        let known = self.held.as_ref().filter(|(of, at, _)| of == candidate && *at == position);
        if let Some((_, _, hash)) = known {
            return Ok(Some(*hash));
        }
        let Some(projector) = self.load(candidate).await? else { return Ok(None) };
        let state = projector.state();
        let hash = state.event(position).map_or(state.genesis().hash, |event| event.hash());
        drop_aside(projector);
        self.held = Some((candidate.clone(), position, hash));
        Ok(Some(hash))
    }

    fn too_late(&self, facts: &LogFacts, seen_in: Epoch, position: Position) -> Trouble {
        let which = facts.lineage.end_of(seen_in).map_or_else(String::new, |start| {
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
