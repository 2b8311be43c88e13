//! What came of a scenario. A run that did too little, or whose fault never struck, is void: it
//! says nothing, and never counts as well.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::recorder::Load;
use crate::checkers::Findings;

/// What came of a scenario.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which scenario.
    pub scenario: &'static str,
    /// Where chance began.
    pub seed: u64,
    /// How often it was to strike.
    pub cycles: u32,
    /// How often it did.
    pub effective: u32,
    /// How often which of the scenario's faults did.
    pub kinds: BTreeMap<String, u32>,
    /// How much was done meanwhile.
    pub load: Load,
    /// How many events the log has at the end.
    pub events: u64,
    /// How long each recovery took.
    pub recoveries: Vec<Duration>,
    /// How long it took everybody to agree after the last write.
    pub convergence: Duration,
    /// The promises that were broken.
    pub findings: Findings,
    /// What else was wrong: no recovery, no agreement, no end of growth.
    pub other: Vec<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
    /// Why the run says nothing.
    pub void: Option<String>,
    /// Why there was none: something that this machine does not allow.
    pub skipped: Option<String>,
}

/// What a report comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Every promise was kept.
    Green,
    /// It cannot be run on this machine.
    Skipped,
    /// The run says nothing.
    Void,
    /// A promise was broken.
    Violated,
}

impl Report {
    /// A report about nothing yet.
    pub fn new(scenario: &'static str, cycles: u32, seed: u64) -> Self {
        Self {
            scenario,
            seed,
            cycles,
            effective: 0,
            kinds: BTreeMap::new(),
            load: Load::default(),
            events: 0,
            recoveries: Vec::new(),
            convergence: Duration::ZERO,
            findings: Findings::default(),
            other: Vec::new(),
            notes: Vec::new(),
            void: None,
            skipped: None,
        }
    }

    /// Notes what is wrong unless `holds`.
    pub fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.other.push(what());
        }
    }

    /// How much is wrong.
    pub fn violations(&self) -> u64 {
        self.findings.total() + self.other.len() as u64
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        match (self.violations(), &self.void) {
            (0, None) if self.skipped.is_some() => Verdict::Skipped,
            (0, None) => Verdict::Green,
            (0, Some(_)) => Verdict::Void,
            _ => Verdict::Violated,
        }
    }

    /// The recovery that took longest, and the one in the middle.
    fn recovery(&self) -> (Duration, Duration) {
        let mut sorted = self.recoveries.clone();
        sorted.sort_unstable();
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        (middle, sorted.last().copied().unwrap_or_default())
    }

    /// The head of a table of reports.
    pub const HEADINGS: &'static str = "scenario             verdict   cycles  violations  writes  \
        reads   delivered  events  recovery ms: median   max  agreed after ms  seed";

    /// Everything that is worth more words than a line of the table.
    pub fn details(&self) -> Vec<String> {
        let void = self.void.iter().map(|why| format!("{}: void: {why}", self.scenario));
        let skipped = self.skipped.iter().map(|why| format!("{}: {why}", self.scenario));
        let other = self.other.iter().map(|what| format!("{}: P11: {what}", self.scenario));
        let told = self.findings.told().iter().map(|it| format!("{}: {it}", self.scenario));
        let undecided = self
            .findings
            .undecided
            .iter()
            .map(|key| format!("{}: the search came to no verdict about {key}", self.scenario));
        let kinds = self.kinds.iter().map(|(kind, count)| format!("{kind} x{count}"));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let kinds = (!kinds.is_empty()).then(|| format!("{}: {kinds}", self.scenario));
        let notes = self.notes.iter().map(|note| format!("{}: {note}", self.scenario));
        let lost = (self.findings.lost_and_said_so > 0).then(|| {
            let lost = self.findings.lost_and_said_so;
            format!(
                "{}: {lost} acknowledged events went with lost tails, and the log says so",
                self.scenario
            )
        });
        void.chain(skipped)
            .chain(other)
            .chain(told)
            .chain(undecided)
            .chain(kinds)
            .chain(notes)
            .chain(lost)
            .collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict() {
            Verdict::Green => "green",
            Verdict::Skipped => "SKIPPED",
            Verdict::Void => "VOID",
            Verdict::Violated => "VIOLATED",
        };
        let (median, longest) = self.recovery();
        write!(
            f,
            "{:<20} {:<8} {:>3}/{:<3} {:>10} {:>8} {:>7} {:>10} {:>7} {:>20} {:>6} {:>15}  {}",
            self.scenario,
            verdict,
            self.effective,
            self.cycles,
            self.violations(),
            self.load.acknowledged,
            self.load.answered,
            self.load.delivered,
            self.events,
            median.as_millis(),
            longest.as_millis(),
            self.convergence.as_millis(),
            self.seed
        )
    }
}
