//! What checks found: bounded, because a broken run breaks the same promise thousands of times.

use std::collections::BTreeMap;
use std::fmt;

/// How many violations of one check are told in full; the rest is counted.
const MAX_TOLD: u64 = 10;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// P1: every acknowledged event is in the log, where and as its receipt says.
    Durable,
    /// P2: nothing is in the log that nobody asked for, and nothing of what was refused.
    NothingInvented,
    /// P3: one request id, one outcome, at most one place in the log.
    ExactlyOnce,
    /// P4: positions and versions are dense, times never decrease, the hash chain holds.
    DenseAndChained,
    /// P4: every event follows from the ones before by the rules of the aggregate.
    RulesKept,
    /// P5: an Apply is in the log, in every read and on every watch as a whole or not at all.
    ApplyWhole,
    /// P6: what was answered before something else began comes before it in the log.
    StrictlySerialisable,
    /// P6: an expected version, and every other rule, decides exactly as it should.
    DecidedRightly,
    /// P6: each config by itself is linearizable, by search, without looking at the log.
    Linearizable,
    /// P7: every answer is the fold of the log up to the position it states.
    ReplicaIsPrefix,
    /// P8: a read with a token never answers older.
    TokenRead,
    /// P8: a session never goes back, on whichever server.
    MonotonicSession,
    /// P9: what was true at a position is always answered alike.
    PastImmutable,
    /// P10: a watch is the exact matching slice of the log over all its resumes.
    WatchExact,
    /// P10: a progress mark never overtakes an event, and never goes back.
    ProgressTrue,
}

impl Check {
    /// Which promise it keeps honest.
    pub const fn promise(self) -> &'static str {
        match self {
            Self::Durable => "P1",
            Self::NothingInvented => "P2",
            Self::ExactlyOnce => "P3",
            Self::DenseAndChained | Self::RulesKept => "P4",
            Self::ApplyWhole => "P5",
            Self::StrictlySerialisable | Self::DecidedRightly | Self::Linearizable => "P6",
            Self::ReplicaIsPrefix => "P7",
            Self::TokenRead | Self::MonotonicSession => "P8",
            Self::PastImmutable => "P9",
            Self::WatchExact | Self::ProgressTrue => "P10",
        }
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What noticed it.
    pub check: Check,
    /// How it was broken.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}: {}", self.check.promise(), self.check, self.what)
    }
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    told: Vec<Violation>,
    counts: BTreeMap<Check, u64>,
    /// Configs whose history was too wild for the search to come to a verdict.
    pub undecided: Vec<String>,
    /// Acknowledged events that are gone with a lost tail, where that is allowed.
    pub lost_and_said_so: u64,
}

impl Findings {
    /// Notes a violation.
    pub fn add(&mut self, check: Check, what: impl Into<String>) {
        let count = self.counts.entry(check).or_default();
        *count += 1;
        if *count <= MAX_TOLD {
            self.told.push(Violation { check, what: what.into() });
        }
    }

    /// Notes a violation unless `holds`.
    pub fn expect(&mut self, check: Check, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.add(check, what());
        }
    }

    /// How many violations there are.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many violations a check found.
    pub fn count(&self, check: Check) -> u64 {
        self.counts.get(&check).copied().unwrap_or_default()
    }

    /// The first violations of each check.
    pub fn told(&self) -> &[Violation] {
        &self.told
    }
}
