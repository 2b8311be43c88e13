//! The log by itself: dense, chained, in order, and each event what the rules make of the ones
//! before it.

use std::collections::HashMap;

use super::findings::{Check, Findings};
use super::log::{Change, Log, Row};

const GENESIS_STREAM: &str = "$genesis";

/// Checks the log without looking at what clients saw.
pub fn check(log: &Log, findings: &mut Findings) {
    dense_and_chained(log, findings);
    commands_whole(log, findings);
    rules_kept(log, findings);
}

fn dense_and_chained(log: &Log, findings: &mut Findings) {
    let check = Check::DenseAndChained;
    let begins_well = log.rows().first().is_some_and(|row| row.stream == GENESIS_STREAM);
    findings.expect(check, begins_well, || "the log does not begin with genesis".to_owned());
    let mut previous = [0; 32];
    let mut recorded_at_us = i64::MIN;
    for (position, row) in (0_u64..).zip(log.rows()) {
        let at = row.position;
        findings.expect(check, at == position, || format!("{at} is where {position} should be"));
        findings.expect(check, row.hash == row.hash_after(previous), || {
            format!("the hash at {at} does not follow from its content and the hash before")
        });
        findings.expect(check, row.recorded_at_us >= recorded_at_us, || {
            format!("the time at {at} is before the time of the event before")
        });
        previous = row.hash;
        recorded_at_us = row.recorded_at_us;
    }
}

fn commands_whole(log: &Log, findings: &mut Findings) {
    let mut before: Option<&Row> = None;
    for row in log.events() {
        let follows = match before.filter(|before| !before.ends_command()) {
            None => row.part_index == 0,
            Some(before) => {
                row.part_index == before.part_index + 1
                    && row.part_size == before.part_size
                    && row.request() == before.request()
                    && row.recorded_at_us == before.recorded_at_us
            }
        };
        findings.expect(Check::ApplyWhole, follows, || {
            format!(
                "part {} of {} at {} does not follow from what is before it",
                row.part_index, row.part_size, row.position
            )
        });
        before = Some(row);
    }
    findings.expect(Check::ApplyWhole, before.is_none_or(Row::ends_command), || {
        "the log ends in the middle of a command".to_owned()
    });
}

/// What is known of a config while going along the log.
#[derive(Default)]
struct Config {
    values: Vec<Option<String>>,
}

impl Config {
    fn current(&self) -> Option<&String> {
        self.values.last().and_then(Option::as_ref)
    }

    /// Why an event cannot happen to it.
    fn objection(&self, row: &Row, change: &Change) -> Option<&'static str> {
        let exists = !self.values.is_empty();
        if row.version != self.values.len() as u64 + 1 {
            return Some("its version is not the next one");
        }
        match change {
            Change::Set { .. } if exists && self.current().is_none() => {
                Some("a deleted config was set")
            }
            Change::Set { old_value, .. } | Change::Restored { old_value, .. }
                if old_value.as_ref() != self.current() =>
            {
                Some("its old value is not the value before")
            }
            Change::Deleted { deleted_value } if Some(deleted_value) != self.current() => {
                Some("its deleted value is not the value before")
            }
            Change::Restored { value, restored_version, .. } => {
                let from = usize::try_from(*restored_version).ok()?.checked_sub(1);
                let restored = from.and_then(|from| self.values.get(from)).and_then(Option::as_ref);
                (restored != Some(value)).then_some("its value is not that of the version restored")
            }
            Change::Set { .. } | Change::Deleted { .. } => None,
        }
    }
}

fn rules_kept(log: &Log, findings: &mut Findings) {
    let mut configs: HashMap<&str, Config> = HashMap::new();
    for row in log.events() {
        let Some(change) = row.change() else {
            findings.add(Check::RulesKept, format!("{} cannot be read", row.position));
            continue;
        };
        let config = configs.entry(&row.stream).or_default();
        if let Some(why) = config.objection(row, &change) {
            let what = format!("{} v{} at {}: {why}", row.stream, row.version, row.position);
            findings.add(Check::RulesKept, what);
        }
        config.values.push(change.value().map(str::to_owned));
    }
}
