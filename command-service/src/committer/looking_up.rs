//! Looking up what a group needs to know before it is decided: configs that nobody here knows, and what
//! configs were at the moments that Restores name. Both within the bounds of what one commit can
//! hold: a group that needs more is decided in parts, and a single submission is refused.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use configapi_domain::{Past, Point, Position};
use configapi_event_log::{StoredEvent, decode};

use super::batch::Batch;
use super::establish::unavailable;
use super::loading::look_up_first;
use super::plan::{Knowledge, Planner, cannot_read};
use super::worker::Worker;
use super::{Refusal, WishedAction};

/// A row holds a value and the one before it, so that the rows that are looked up for Restores may
/// weigh twice what a commit may.
const VALUES_PER_ROW: usize = 2;

/// How much of a group is known.
#[derive(Debug)]
pub(super) enum Known {
    /// All that the first so many submissions need: one at least.
    First(usize),
    /// The first submission needs more than a commit can hold; its refusal.
    TooLarge(Refusal),
}

impl Worker {
    /// Whether a group names what nobody here knows.
    pub(super) fn has_to_look_up(&mut self, batch: &Batch) -> bool {
        let mut wishes = batch.group().flat_map(|submission| &submission.wishes);
        wishes.any(|wish| {
            matches!(wish.action, WishedAction::Restore(Some(_)))
                || !self.aggregates.knows(&wish.key.shared_stream())
        })
    }

    /// Gets to know what the group names after the submissions that are decided already.
    pub(super) async fn look_up(
        &mut self,
        batch: &Batch,
        planner: &mut Planner,
    ) -> Result<Known, Refusal> {
        let (decided, head) = (planner.decided_submissions(), planner.head().position);
        let knowledge = &mut planner.knowledge;
        match self.look_up_configs(batch, decided, knowledge).await? {
            Known::First(known) => self.look_up_pasts(batch, decided..known, head, knowledge).await,
            too_large @ Known::TooLarge(_) => Ok(too_large),
        }
    }

    async fn look_up_configs(
        &mut self,
        batch: &Batch,
        decided: usize,
        knowledge: &mut Knowledge,
    ) -> Result<Known, Refusal> {
        let (submissions, streams) = self.missing(batch, decided, knowledge);
        let (mut asked, mut loaded_bytes) = (0, 0);
        while let Some(next) = submissions.get(asked) {
            if loaded_bytes > self.limits.commit_bytes {
                return Ok(self.known_before(*next, loaded_bytes));
            }
            let found = look_up_first(&*self.log, &self.limits, &streams[asked..]).await;
            let found = found.map_err(unavailable)?;
            asked += found.streams.len();
            loaded_bytes += self.learn(&found, knowledge);
        }
        Ok(Known::First(batch.group().count()))
    }

    /// The first submissions that name a stream that nobody knows, in their order, and the streams.
    fn missing(
        &mut self,
        batch: &Batch,
        decided: usize,
        knowledge: &mut Knowledge,
    ) -> (Vec<usize>, Vec<Arc<str>>) {
        let (mut submissions, mut streams) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for (index, submission) in batch.group().enumerate().skip(decided) {
            for wish in &submission.wishes {
                let stream = wish.key.shared_stream();
                if knowledge.configs.contains_key(&stream) {
                    continue;
                }
                if let Some(config) = self.aggregates.get(&stream) {
                    knowledge.configs.insert(stream, config);
                } else if seen.insert(Arc::clone(&stream)) {
                    submissions.push(index);
                    streams.push(stream);
                }
            }
        }
        (submissions, streams)
    }

    async fn look_up_pasts(
        &self,
        batch: &Batch,
        submissions: Range<usize>,
        head: Position,
        knowledge: &mut Knowledge,
    ) -> Result<Known, Refusal> {
        let limit_bytes = self.limits.commit_bytes.saturating_mul(VALUES_PER_ROW);
        let known = submissions.end;
        let wanted = missing_pasts(batch, submissions, head, knowledge);
        let (mut asked, mut read_bytes) = (0, 0);
        while let Some((next, ..)) = wanted.get(asked) {
            if read_bytes > limit_bytes {
                return Ok(self.known_before(*next, read_bytes));
            }
            let rest = wanted[asked..].iter().take(self.limits.load_streams.max(1));
            let points: Vec<_> = rest.map(|(_, stream, point)| (&**stream, *point)).collect();
            let room_bytes = limit_bytes.saturating_sub(read_bytes);
            let rows = self.log.streams_at(&points, room_bytes).await.map_err(unavailable)?;
            let answered = &wanted[asked..];
            asked += rows.len();
            for ((_, stream, point), row) in answered.iter().zip(rows) {
                read_bytes += row.as_ref().map_or(0, StoredEvent::weight_bytes);
                let past = row.as_ref().map(decode).transpose().map(|recorded| {
                    recorded.map(|recorded| Past {
                        version: recorded.version,
                        content: recorded.event.content().cloned(),
                    })
                });
                let past = past.map_err(|error| cannot_read(&error));
                knowledge.pasts.insert((Arc::clone(stream), *point), past);
            }
        }
        Ok(Known::First(known))
    }

    /// What is known if it became too much when this submission had its turn.
    fn known_before(&self, submission: usize, bytes: usize) -> Known {
        match submission {
            0 => {
                let limit_bytes = self.limits.commit_bytes;
                Known::TooLarge(Refusal::TooLarge { bytes, limit_bytes })
            }
            others => Known::First(others),
        }
    }
}

/// What Restores name that nobody looked up yet, each with the first submission that does. Who is
/// refused anyway, for a position that the log has not reached, needs no look-up.
fn missing_pasts(
    batch: &Batch,
    submissions: Range<usize>,
    head: Position,
    knowledge: &Knowledge,
) -> Vec<(usize, Arc<str>, Point)> {
    let (mut wanted, mut seen) = (Vec::new(), HashSet::new());
    let group = batch.group().enumerate().take(submissions.end).skip(submissions.start);
    for (index, wish) in group.flat_map(|(index, s)| s.wishes.iter().map(move |w| (index, w))) {
        let WishedAction::Restore(Some(point)) = wish.action else { continue };
        let asked = (wish.key.shared_stream(), point);
        let is_ahead = matches!(point, Point::Position(position) if position > head);
        if !is_ahead && !knowledge.pasts.contains_key(&asked) && seen.insert(asked.clone()) {
            wanted.push((index, asked.0, asked.1));
        }
    }
    wanted
}
