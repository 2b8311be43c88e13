//! A read server of the simulated system: follows the log at its own pace, rightly or with a
//! planted bug.

use configapi_acceptance::checkers::history::{Answer, Found, Place, Selection};

use crate::bugs::Bug;
use crate::simulated_log::{Configs, Moment, SimulatedLog, truncate};
use configapi_acceptance::Random;

#[derive(Default)]
pub struct Replica {
    pub name: String,
    pub configs: Configs,
    pub applied: u64,
    pub epoch: u64,
    bug: Option<Bug>,
}

impl Replica {
    pub fn new(name: &str, bug: Option<Bug>) -> Self {
        Self { name: name.to_owned(), epoch: 1, bug, ..Self::default() }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub fn place(&self) -> Place {
        Place { epoch: self.epoch, position: self.applied }
    }

    /// Applies what is in the log up to a position.
    pub fn advance(&mut self, log: &SimulatedLog, to: u64, random: &mut Random) {
        self.notice_lost_tail(log);
        let may_stop_anywhere = self.has(Bug::BatchSplitByPage) && random.percent(20);
        let to = if may_stop_anywhere { to } else { log.border_at(to) };
        let is_hasty = self.has(Bug::BigserialTail) && random.percent(5);
        let skipped = if is_hasty { self.applied + 1 } else { 0 };
        let rows = log.rows.iter().filter(|row| row.position > self.applied && row.position <= to);
        for row in rows.filter(|row| row.position != skipped) {
            let value = row.change().and_then(|change| change.value().map(str::to_owned));
            let moments = self.configs.entry(row.stream.clone()).or_default();
            moments.push(Moment { position: row.position, value });
        }
        self.applied = self.applied.max(to);
    }

    fn notice_lost_tail(&mut self, log: &SimulatedLog) {
        let newest = *log.epochs.last().unwrap();
        if newest.epoch == self.epoch {
            return;
        }
        self.epoch = newest.epoch;
        if !self.has(Bug::NonInclusiveTailAcrossPromotion) {
            self.applied = self.applied.min(newest.first_position - 1);
            truncate(&mut self.configs, self.applied);
        }
    }

    /// Ends and starts again from a snapshot.
    pub fn restart(&mut self, log: &SimulatedLog, random: &mut Random) {
        let state = log.border_at(self.applied.saturating_sub(random.below(6)));
        truncate(&mut self.configs, state);
        if !self.has(Bug::SnapshotAheadOfItsState) {
            self.applied = state;
        }
    }

    /// What it says about some configs at a position.
    pub fn answer(&self, selection: &Selection, position: u64, log: &SimulatedLog) -> Answer {
        let mut found: Vec<Found> = self
            .configs
            .iter()
            .filter(|(key, _)| selection.has(key))
            .filter_map(|(key, moments)| {
                let known = moments.iter().take_while(|moment| moment.position <= position);
                let last = known.last()?;
                let version = log
                    .rows
                    .iter()
                    .find(|row| row.position == last.position && row.stream == *key)
                    .map_or(0, |row| row.version);
                Some(Found {
                    key: key.clone(),
                    version,
                    position: last.position,
                    value: last.value.clone()?,
                })
            })
            .collect();
        found.sort_by(|one, other| one.key.cmp(&other.key));
        Answer { place: Some(Place { epoch: self.epoch, position }), found }
    }
}
