//! Looking up what a group needs to know before it is decided: configs that nobody here knows, and what
//! configs were at the moments that Restores name. Both within the bounds of what one commit can
//! hold: a group that needs more is decided in parts, and a single submission is refused.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use configapi_domain::{Past, Point, Position, Version};
use configapi_event_log::{LogError, StoredEvent, decode};

use super::batch::Batch;
use super::establish::unavailable;
use super::loading::look_up_first;
use super::plan::{Knowledge, Planner};
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
                    knowledge.configs.insert(stream, config.clone());
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
        let mut read_bytes = 0;
        let (decided, known) = (submissions.start, submissions.end);
        for (index, submission) in batch.group().enumerate().take(known).skip(decided) {
            for wish in &submission.wishes {
                let WishedAction::Restore(Some(point)) = wish.action else { continue };
                let stream = wish.key.shared_stream();
                if knowledge.pasts.contains_key(&(Arc::clone(&stream), point))
                    || matches!(point, Point::Position(position) if position > head)
                {
                    continue;
                }
                if read_bytes > limit_bytes {
                    return Ok(self.known_before(index, read_bytes));
                }
                read_bytes += self.look_back(stream, point, knowledge).await?;
            }
        }
        Ok(Known::First(known))
    }

    /// Looks up what a config was at a point. Answers how many bytes that took.
    async fn look_back(
        &self,
        stream: Arc<str>,
        point: Point,
        knowledge: &mut Knowledge,
    ) -> Result<usize, Refusal> {
        let newest = knowledge.configs.get(&stream).map(|config| config.version);
        let (row, read_bytes) = self.row_at(&stream, point, newest).await.map_err(unavailable)?;
        match row.as_ref().map(decode).transpose() {
            Ok(recorded) => {
                let past = recorded.map(|recorded| Past {
                    version: recorded.version,
                    content: recorded.event.content().cloned(),
                });
                knowledge.pasts.insert((stream, point), past);
            }
            Err(error) => knowledge.cannot_read(&stream, &error),
        }
        Ok(read_bytes)
    }

    /// The row that a stream stood at, and how many bytes it took to find it. `newest` is the newest
    /// version that the stream has, or will have if what was decided is written.
    async fn row_at(
        &self,
        stream: &str,
        point: Point,
        newest: Option<Version>,
    ) -> Result<(Option<StoredEvent>, usize), LogError> {
        let row = self.log.stream_at(stream, point).await?;
        let mut read_bytes = weight_bytes(row.as_ref());
        let version = row.as_ref().map_or(Version::NONE, |row| row.version);
        let Point::Position(position) = point else { return Ok((row, read_bytes)) };
        if newest == Some(version) {
            return Ok((row, read_bytes));
        }
        // A position within an Apply means all of it, as it does to whoever reads: nobody sees half.
        let next = self.log.stream_at(stream, Point::Version(version.next())).await?;
        read_bytes += weight_bytes(next.as_ref());
        let Some(end) = next.as_ref().and_then(|next| end_if_begun(next, position)) else {
            return Ok((row, read_bytes));
        };
        let row = self.log.stream_at(stream, Point::Position(end)).await?;
        read_bytes += weight_bytes(row.as_ref());
        Ok((row, read_bytes))
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

/// Where the command of this row ends, if it begins at this position or before.
fn end_if_begun(row: &StoredEvent, position: Position) -> Option<Position> {
    let first = row.position.0.saturating_sub(row.part.index.into());
    let last = first.saturating_add(u64::from(row.part.size).saturating_sub(1));
    (first <= position.0).then_some(Position(last))
}

fn weight_bytes(row: Option<&StoredEvent>) -> usize {
    row.map_or(0, StoredEvent::weight_bytes)
}
