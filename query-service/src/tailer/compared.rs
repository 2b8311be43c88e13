//! Snapshots that a standby had not come to when it began. Whether the log goes the way that they tell is
//! found out once it has come so far, and nothing beyond is served before.

use std::sync::Arc;

use super::Tailer;
use super::establish::lost_before_the_start;
use super::trouble::Trouble;
use crate::view::LogFacts;

/// Why nothing is served while all is read anew, and compared at the start.
const ANOTHER_WAY: &str = "the log went another way than a snapshot, and is being read anew";

impl Tailer {
    /// Compares what was read with the snapshots that it has come to by now.
    pub(super) async fn compare(&mut self, facts: &Arc<LogFacts>) -> Result<(), Trouble> {
        while let (Some(candidate), Some(projector)) = (self.awaited.last(), &self.projector) {
            let Some(event) = projector.state().event(candidate.anchor.position) else {
                return Ok(());
            };
            if event.hash() != candidate.anchor.hash {
                let candidate = candidate.clone();
                if self.is_proof_of_loss(&candidate, facts).await? {
                    self.forget(facts, ANOTHER_WAY);
                    let position = candidate.anchor.position;
                    return Err(lost_before_the_start(&candidate, position, facts));
                }
            }
            self.awaited.pop();
        }
        Ok(())
    }
}
