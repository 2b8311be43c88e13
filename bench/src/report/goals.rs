//! What we hold ourselves to. Ratios are between figures of the same run; absolute numbers are meant
//! for a machine of two cores that the client, the servers and the database share.

use self::{
    Figure::{FirstStartMemoryMib, FirstStartMs, LastStartRate, Of},
    Metric::{P50, P99, PerSecond},
};
use super::Results;
use crate::suite::Subject::{self, Echo, Etcd, Postgres, PostgresFew, Sqlite};

/// A goal.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// What it is about.
    pub what: &'static str,
    /// What its number means.
    pub unit: &'static str,
    of: Figure,
    relative_to: Option<Figure>,
    better: Better,
    /// What must hold; 0 where there is only an aim.
    pub at_least: f64,
    /// What we would like to see.
    pub aim: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Better {
    Higher,
    Lower,
}

#[derive(Debug, Clone, Copy)]
enum Figure {
    Of(&'static str, Subject, Metric),
    FirstStartMs,
    FirstStartMemoryMib,
    LastStartRate,
}

#[derive(Debug, Clone, Copy)]
enum Metric {
    PerSecond,
    P50,
    P99,
}

/// How a goal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Better than we would like to see.
    Reached,
    /// Good enough.
    Holds,
    /// Not good enough.
    Missed,
}

impl Verdict {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reached => "aim reached",
            Self::Holds => "holds",
            Self::Missed => "**missed**",
        }
    }
}

/// The goals that these results can tell about, with what was measured.
pub fn judged(results: &Results) -> Vec<(Goal, f64, Verdict)> {
    let judge = |goal: &Goal| {
        let measured = goal.measured(results)?;
        Some((*goal, measured, goal.judge(measured)))
    };
    GOALS.iter().filter_map(judge).collect()
}

impl Goal {
    fn measured(&self, results: &Results) -> Option<f64> {
        let own = self.of.in_results(results)?;
        match self.relative_to {
            None => Some(own),
            Some(other) => other.in_results(results).map(|other| own / other),
        }
    }

    fn judge(&self, measured: f64) -> Verdict {
        let is_met = |bound| match self.better {
            Better::Higher => measured >= bound,
            Better::Lower => measured <= bound,
        };
        match (is_met(self.aim), is_met(self.at_least)) {
            (true, _) => Verdict::Reached,
            (false, true) => Verdict::Holds,
            (false, false) => Verdict::Missed,
        }
    }

    /// Whether more is better.
    pub fn more_is_better(&self) -> bool {
        self.better == Better::Higher
    }
}

impl Figure {
    fn in_results(self, results: &Results) -> Option<f64> {
        match self {
            Of(id, subject, metric) => results.find(id, subject).map(|measured| match metric {
                PerSecond => measured.per_second,
                P50 => measured.p50_us,
                P99 => measured.p99_us,
            }),
            FirstStartMs => results.starts.first().map(|start| start.ready_after_ms),
            FirstStartMemoryMib => results.starts.first().map(|start| start.memory_mib),
            LastStartRate => results.starts.last().map(|start| start.events_per_second),
        }
    }
}

const fn ratio(
    what: &'static str,
    of: Figure,
    relative_to: Figure,
    (at_least, aim): (f64, f64),
) -> Goal {
    let (relative_to, better) = (Some(relative_to), Better::Higher);
    Goal { what, unit: "×", of, relative_to, better, at_least, aim }
}

const fn at_most_times(
    what: &'static str,
    of: Figure,
    relative_to: Figure,
    (at_least, aim): (f64, f64),
) -> Goal {
    let (relative_to, better) = (Some(relative_to), Better::Lower);
    Goal { what, unit: "×", of, relative_to, better, at_least, aim }
}

const fn rate(what: &'static str, of: Figure, (at_least, aim): (f64, f64)) -> Goal {
    Goal { what, unit: "/s", of, relative_to: None, better: Better::Higher, at_least, aim }
}

const fn at_most(
    what: &'static str,
    unit: &'static str,
    of: Figure,
    (at_least, aim): (f64, f64),
) -> Goal {
    Goal { what, unit, of, relative_to: None, better: Better::Lower, at_least, aim }
}

const fn speed(id: &'static str, subject: Subject) -> Figure {
    Of(id, subject, PerSecond)
}

const GOALS: &[Goal] = &[
    ratio("get ÷ echo", speed("get", Postgres), speed("get", Echo), (0.85, 0.95)),
    ratio(
        "get ÷ etcd's linearizable get",
        speed("get", Postgres),
        speed("get-linearizable", Etcd),
        (1.6, 1.6),
    ),
    at_most_times(
        "get one at a time, p50 ÷ echo's",
        Of("get-one", Postgres, P50),
        Of("get-one", Echo, P50),
        (1.15, 1.05),
    ),
    ratio(
        "linearizable get ÷ etcd's",
        speed("get-linearizable", Postgres),
        speed("get-linearizable", Etcd),
        (1.0, 1.5),
    ),
    ratio("list of 1,000 ÷ etcd's", speed("list", Postgres), speed("list", Etcd), (2.0, 2.0)),
    ratio("list of 1,000 ÷ echo", speed("list", Postgres), speed("list", Echo), (0.0, 0.8)),
    at_most_times(
        "list of 1,000, p50 with many configs ÷ with 1,000",
        Of("list-growth", Postgres, P50),
        Of("list-growth", PostgresFew, P50),
        (1.3, 1.1),
    ),
    ratio("set ÷ etcd's put", speed("set", Postgres), speed("set", Etcd), (1.1, 1.3)),
    ratio("set, 8×8 ÷ etcd's put", speed("set-8x8", Postgres), speed("set-8x8", Etcd), (1.1, 1.3)),
    at_most_times(
        "set one at a time, p50 ÷ etcd's",
        Of("set-one", Postgres, P50),
        Of("set-one", Etcd, P50),
        (1.5, 1.2),
    ),
    ratio(
        "set on one config ÷ set",
        speed("set-hot", Postgres),
        speed("set", Postgres),
        (0.7, 1.0),
    ),
    rate("events by apply of 100", speed("apply", Postgres), (60_000.0, 120_000.0)),
    rate("events by one stream", speed("bulk", Postgres), (100_000.0, 120_000.0)),
    at_most("set until watched, p50", " µs", Of("set-watch", Postgres, P50), (500.0, 350.0)),
    at_most("set until watched, p99", " µs", Of("set-watch", Postgres, P99), (3_000.0, 3_000.0)),
    at_most("set, then get of it, p50", " µs", Of("set-get", Postgres, P50), (800.0, 500.0)),
    at_most("1,000 watchers, p99", " µs", Of("fan-out", Postgres, P99), (100_000.0, 30_000.0)),
    ratio(
        "at a time in the past ÷ get",
        speed("at-time", Postgres),
        speed("get", Postgres),
        (0.75, 0.9),
    ),
    ratio("history of 10 ÷ get", speed("history", Postgres), speed("get", Postgres), (0.75, 0.9)),
    rate("events replayed at start", LastStartRate, (400_000.0, 1_000_000.0)),
    rate("REST get", speed("rest-get", Sqlite), (35_000.0, 70_000.0)),
    rate("REST put", speed("rest-put", Sqlite), (15_000.0, 25_000.0)),
    ratio(
        "get on SQLite ÷ on PostgreSQL",
        speed("get", Sqlite),
        speed("get", Postgres),
        (1.0, 1.5),
    ),
    ratio(
        "set on SQLite ÷ on PostgreSQL",
        speed("set", Sqlite),
        speed("set", Postgres),
        (1.0, 1.5),
    ),
    at_most("start until ready, 1,000 events", " ms", FirstStartMs, (300.0, 100.0)),
    at_most("memory of a server at rest", " MiB", FirstStartMemoryMib, (30.0, 15.0)),
    at_most_times(
        "in the past of 1,000 versions, p50 ÷ of 10",
        Of("past-of-1k", Postgres, P50),
        Of("past-of-10", Postgres, P50),
        (1.5, 1.1),
    ),
    at_most_times(
        "in the past of 100,000 versions, p50 ÷ of 10",
        Of("past-of-100k", Postgres, P50),
        Of("past-of-10", Postgres, P50),
        (1.5, 1.1),
    ),
    at_most_times(
        "get, p50 with many configs ÷ with 1,000",
        Of("get-growth", Postgres, P50),
        Of("get-growth", PostgresFew, P50),
        (1.3, 1.1),
    ),
    ratio(
        "set with many configs ÷ with 1,000",
        speed("set-growth", Postgres),
        speed("set-growth", PostgresFew),
        (1.0 / 1.2, 1.0),
    ),
];
