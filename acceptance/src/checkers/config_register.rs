//! Each config by itself, without the log: is there an order of all that clients did to it and saw
//! of it that respects real time and explains every answer? Independent of the sweep over the log,
//! so that a log which is consistent but wrong does not go unnoticed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::Evidence;
use super::findings::{Check, Findings};
use super::history::{Action, Command, History, Read, Selection, Wish, Write, WriteOutcome};
use super::linearizability::{self, Call, Model, Verdict};
use super::rules::{self, Config};

/// How many steps the search may take for one config.
const BUDGET: u64 = 20_000_000;

/// Checks every config. After a lost tail there is nothing to find: what was acknowledged is gone.
pub fn check(evidence: &Evidence, findings: &mut Findings) {
    if evidence.log.changes_of_epoch() > 0 {
        return;
    }
    for (key, calls) in calls_by_key(&evidence.history) {
        match linearizability::check(&ConfigRegister, &calls, BUDGET) {
            Verdict::Linearizable => {}
            Verdict::GaveUp => findings.undecided.push(key.to_owned()),
            Verdict::Violated { stuck_at } => {
                let call = calls.get(stuck_at);
                let what = format!("no order explains what was seen of {key}; stuck at {call:?}");
                findings.add(Check::Linearizable, what);
            }
        }
    }
}

/// One config as a sequential machine. The values of its past are not remembered: a Restore of a
/// version is asked for by clients that know the value which that version had.
struct ConfigRegister;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct State {
    version: u64,
    value: Option<Value>,
    last: Option<Value>,
}

/// A value, or one that is not known.
type Value = Option<String>;

#[derive(Debug, Clone)]
enum Operation {
    /// A command that became this version; if none, the outcome is unknown.
    Written { command: Command, version: Option<u64> },
    /// A command that was refused.
    Refused { command: Command, reason: String },
    /// A read, with the version and the value that it found.
    Read { found: Option<(u64, String)> },
}

impl Model for ConfigRegister {
    type State = State;
    type Operation = Operation;

    fn initial(&self) -> State {
        State::default()
    }

    fn step(&self, state: &State, operation: &Operation) -> Option<State> {
        match operation {
            Operation::Read { found: None } => state.value.is_none().then(|| state.clone()),
            Operation::Read { found: Some((version, value)) } => {
                let is_here = state.version == *version && state.value.is_some();
                let is_same = state.value.as_ref()?.as_ref().is_none_or(|it| it == value);
                (is_here && is_same).then(|| state.clone())
            }
            Operation::Refused { command, reason } => {
                // Any version but the ones known to have had a value may have been a delete.
                let config = Config { had_value_at: &|_| Some(false), ..config(state) };
                rules::breaks(config, command, reason)?.then(|| state.clone())
            }
            Operation::Written { command, version } => {
                let is_allowed = rules::allows(config(state), command);
                match version {
                    Some(version) => {
                        let fits = is_allowed && state.version + 1 == *version;
                        fits.then(|| after(state, command))
                    }
                    None if is_allowed => Some(after(state, command)),
                    None => Some(state.clone()),
                }
            }
        }
    }
}

fn config(state: &State) -> Config<'static> {
    Config { version: state.version, is_live: state.value.is_some(), had_value_at: &|_| None }
}

fn after(state: &State, command: &Command) -> State {
    let value = match &command.action {
        Action::Set(value) => Some(Some(value.clone())),
        Action::Delete => None,
        Action::RestoreLast => state.last.clone(),
        Action::RestoreVersion(_) => Some(None),
    };
    let last = value.clone().or_else(|| state.last.clone());
    State { version: state.version + 1, value, last }
}

fn calls_by_key(history: &History) -> BTreeMap<&str, Vec<Call<Operation>>> {
    let mut by_key: BTreeMap<&str, Vec<Call<Operation>>> = BTreeMap::new();
    for (write, invoked_us) in once_each(&history.writes) {
        for (command, operation) in operations(write) {
            let is_known = !matches!(operation, Operation::Written { version: None, .. });
            by_key.entry(&command.key).or_default().push(Call {
                invoked: invoked_us,
                returned: is_known.then_some(write.returned_us),
                operation,
            });
        }
    }
    for read in history.reads.iter().filter(|read| read.at.is_none()) {
        if let Some((key, operation)) = linearizable_read(read) {
            by_key.entry(key).or_default().push(Call {
                invoked: read.invoked_us,
                returned: Some(read.returned_us),
                operation,
            });
        }
    }
    by_key
}

/// Each request once, however often it was sent: the record that knows most, and the beginning of
/// the first.
fn once_each(writes: &[Write]) -> impl Iterator<Item = (&Write, u64)> {
    let mut requests: HashMap<&str, (&Write, u64)> = HashMap::new();
    let knowledge = |write: &Write| match write.outcome {
        WriteOutcome::Ok(_) => (2, Reverse(write.returned_us)),
        WriteOutcome::Unknown { .. } => (1, Reverse(write.returned_us)),
        WriteOutcome::Fail(_) => (0, Reverse(write.returned_us)),
    };
    for write in writes {
        let (best, invoked_us) =
            requests.entry(&write.request_id).or_insert((write, write.invoked_us));
        *invoked_us = write.invoked_us.min(*invoked_us);
        if knowledge(write) > knowledge(best) {
            *best = write;
        }
    }
    requests.into_values()
}

/// What a command did to each of its configs, as far as is known.
fn operations(write: &Write) -> Vec<(&Command, Operation)> {
    let commands = write.commands.iter();
    match &write.outcome {
        WriteOutcome::Ok(receipts) => commands
            .zip(receipts)
            .map(|(command, receipt)| {
                let version = Some(receipt.version);
                (command, Operation::Written { command: command.clone(), version })
            })
            .collect(),
        WriteOutcome::Unknown { .. } => commands
            .map(|command| {
                (command, Operation::Written { command: command.clone(), version: None })
            })
            .collect(),
        WriteOutcome::Fail(refusal) if rules::is_about_the_server(&refusal.reason) => Vec::new(),
        WriteOutcome::Fail(refusal) => commands
            .skip(refusal.command_index.unwrap_or_default())
            .take(1)
            .map(|command| {
                let reason = refusal.reason.clone();
                (command, Operation::Refused { command: command.clone(), reason })
            })
            .collect(),
    }
}

fn linearizable_read(read: &Read) -> Option<(&str, Operation)> {
    let (Selection::Key(key), Wish::Linearizable) = (&read.selection, read.wish) else {
        return None;
    };
    let found = read.answer.as_ref()?.found.first();
    Some((key, Operation::Read { found: found.map(|it| (it.version, it.value.clone())) }))
}
