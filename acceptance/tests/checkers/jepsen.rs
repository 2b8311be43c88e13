//! The search for a linearization against 102 recorded histories of a real etcd cluster, whose
//! verdicts are known. The recordings are not part of the repository.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use configapi_acceptance::checkers::linearizability::{Call, Model, Verdict, check};

/// How many histories there are.
const HISTORIES: usize = 102;
/// Far more steps than any of them needs.
const BUDGET: u64 = 100_000_000;

/// A register that can be read, written, and compared and set.
struct Register;

#[derive(Debug, Clone)]
enum Operation {
    Read(Answer),
    Write(i64),
    /// Whether it succeeded; none if that is not known.
    CompareAndSet {
        expected: i64,
        new: i64,
        succeeded: Option<bool>,
    },
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Unknown,
    Found(Option<i64>),
}

impl Model for Register {
    type State = Option<i64>;
    type Operation = Operation;

    fn initial(&self) -> Self::State {
        None
    }

    fn step(&self, state: &Self::State, operation: &Operation) -> Option<Self::State> {
        match *operation {
            Operation::Read(Answer::Unknown) => Some(*state),
            Operation::Read(Answer::Found(found)) => (found == *state).then_some(*state),
            Operation::Write(value) => Some(Some(value)),
            Operation::CompareAndSet { expected, new, succeeded } => {
                let succeeds = *state == Some(expected);
                let is_explained = succeeded.is_none_or(|told| told == succeeds);
                is_explained.then_some(if succeeds { Some(new) } else { *state })
            }
        }
    }
}

/// Reads one recording. Its line numbers are its clock.
fn history_of(log: &str) -> Vec<Call<Operation>> {
    let mut calls: Vec<Call<Operation>> = Vec::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for (instant, line) in log.lines().enumerate() {
        let (_, event) = line.split_once(" - ").unwrap();
        let words: Vec<&str> = event.split_whitespace().collect();
        let (process, what, argument) = (words[0], words[2], words[3..].join(" "));
        let numbers: Vec<i64> =
            argument.split(|c| "[] ".contains(c)).filter_map(|it| it.parse().ok()).collect();
        match words[1] {
            ":invoke" => {
                let operation = match what {
                    ":read" => Operation::Read(Answer::Unknown),
                    ":write" => Operation::Write(numbers[0]),
                    _ => Operation::CompareAndSet {
                        expected: numbers[0],
                        new: numbers[1],
                        succeeded: None,
                    },
                };
                open.insert(process, calls.len());
                calls.push(Call { invoked: instant as u64, returned: None, operation });
            }
            // Unknown: as if the answer never came. A read that failed tells nothing either.
            ":info" => drop(open.remove(process)),
            ":fail" if what == ":read" => drop(open.remove(process)),
            outcome => {
                let call = &mut calls[open.remove(process).unwrap()];
                call.returned = Some(instant as u64);
                match &mut call.operation {
                    Operation::Read(answer) => *answer = Answer::Found(numbers.first().copied()),
                    Operation::Write(_) => assert_eq!(outcome, ":ok"),
                    Operation::CompareAndSet { succeeded, .. } => {
                        *succeeded = Some(outcome == ":ok");
                    }
                }
            }
        }
    }
    calls
}

fn recordings() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    repository.join("../shared/data/jepsen")
}

#[test]
fn the_search_agrees_with_every_recorded_history_of_etcd() {
    let Ok(expected) = std::fs::read_to_string(recordings().join("expected.tsv")) else {
        eprintln!("NOT CHECKED: the recorded etcd histories are not at ../shared/data/jepsen");
        return;
    };
    let mut wrong = Vec::new();
    for line in expected.lines() {
        let (name, is_linearizable) = line.split_once('\t').unwrap();
        let log = std::fs::read_to_string(recordings().join(name)).unwrap();
        let verdict = check(&Register, &history_of(&log), BUDGET);
        assert_ne!(verdict, Verdict::GaveUp, "{name}");
        if (verdict == Verdict::Linearizable) != (is_linearizable.trim() == "true") {
            wrong.push((name, verdict));
        }
    }
    assert_eq!(wrong, [], "of {HISTORIES} histories");
    assert_eq!(expected.lines().count(), HISTORIES);
}
