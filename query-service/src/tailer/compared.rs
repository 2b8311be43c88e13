//! Snapshots that a standby had not come to when it began. Whether the log goes the way that they tell is
//! found out once it has come so far, and nothing beyond is served before.

use std::sync::Arc;

use configapi_domain::Position;
use configapi_event_log::Hash;

use super::Tailer;
use super::establish::lost_before_the_start;
use super::trouble::Trouble;
use crate::snapshot::Candidate;
use crate::view::LogFacts;

/// Why nothing is served while all is read anew, and compared at the start.
const ANOTHER_WAY: &str = "the log went another way than a snapshot, and is being read anew";

impl Tailer {
    /// Compares what was read with the snapshots that it has come to by now. An epoch that began meanwhile
    /// may say that the end of one is lost; then the rest of it has to be there.
    pub(super) async fn compare(&mut self, facts: &Arc<LogFacts>) -> Result<(), Trouble> {
        while let Some((candidate, position, read)) = self.come_to(facts) {
            let is_lost = if position == candidate.anchor.position {
                candidate.anchor.hash != read && self.is_proof_of_loss(&candidate, facts).await?
            } else {
                facts.log_id == Some(candidate.log_id)
                    && self.held(&candidate, position).await?.is_some_and(|held| held != read)
            };
            if is_lost {
                self.forget(facts, ANOTHER_WAY);
                return Err(lost_before_the_start(&candidate, position, facts));
            }
            self.awaited.retain(|awaited| *awaited != candidate);
        }
        Ok(())
    }

    /// A snapshot that was come to, as far as the epochs say that it is kept; up to where that is, and what
    /// was read there.
    fn come_to(&self, facts: &LogFacts) -> Option<(Candidate, Position, Hash)> {
        let state = self.projector.as_ref()?.state();
        self.awaited.iter().rev().find_map(|candidate| {
            let kept = facts.lineage.kept_of(candidate.epoch, candidate.anchor.position);
            let genesis = (kept == Position::GENESIS).then_some(state.genesis().hash);
            let read = genesis.or_else(|| state.event(kept).map(|event| event.hash()))?;
            Some((candidate.clone(), kept, read))
        })
    }
}
