//! Commands against the log: what was acknowledged is there, what is there was asked for, and no
//! request is there twice.

use std::collections::HashMap;

use super::Evidence;
use super::findings::{Check, Findings};
use super::history::{Action, Command, Receipt, Write, WriteOutcome};
use super::log::{Change, Log, Row};
use super::rules::is_about_the_server;

/// Checks all commands.
pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let mut by_request: HashMap<&str, Vec<&Write>> = HashMap::new();
    for write in &evidence.history.writes {
        by_request.entry(&write.request_id).or_default().push(write);
        if let WriteOutcome::Ok(receipts) = &write.outcome {
            durable(evidence, write, receipts, findings);
        }
    }
    for (request_id, writes) in &by_request {
        one_outcome(&evidence.log, request_id, writes, findings);
        at_most_once(&evidence.log, request_id, writes, findings);
    }
    nothing_invented(evidence, &by_request, findings);
}

fn durable(evidence: &Evidence, write: &Write, receipts: &[Receipt], findings: &mut Findings) {
    let id = &write.request_id;
    let fits = receipts.len() == write.commands.len()
        && receipts.iter().zip(&write.commands).all(|(receipt, asked)| receipt.key == asked.key);
    findings
        .expect(Check::Durable, fits, || format!("the receipts of {id} are for other commands"));
    for receipt in receipts {
        let (key, place) = (&receipt.key, receipt.place);
        if evidence.log.is_lost(place) {
            if evidence.tail_may_be_lost {
                findings.lost_and_said_so += 1;
            } else {
                findings.add(Check::Durable, format!("{id} at {} was lost", place.position));
            }
            continue;
        }
        let row = evidence.log.row(place.position);
        let is_there = row.is_some_and(|row| {
            row.stream == *key
                && row.version == receipt.version
                && row.request().as_deref() == Some(id)
                && (receipt.hash.is_empty() || receipt.hash == row.hash_text())
        });
        findings.expect(Check::Durable, is_there, || {
            let version = receipt.version;
            format!("{id} was told that {key} v{version} is at {}; it is not", place.position)
        });
    }
}

/// However often it was sent, a request has one outcome, unless that is gone with a lost tail.
fn one_outcome(log: &Log, request_id: &str, writes: &[&Write], findings: &mut Findings) {
    let acknowledged = writes.iter().filter_map(|write| match &write.outcome {
        WriteOutcome::Ok(receipts) => Some(receipts.as_slice()),
        WriteOutcome::Fail(_) | WriteOutcome::Unknown { .. } => None,
    });
    let mut kept = acknowledged.filter(|it| !it.iter().any(|receipt| log.is_lost(receipt.place)));
    let Some(first) = kept.next() else { return };
    for receipts in kept {
        findings.expect(Check::ExactlyOnce, first == receipts, || {
            format!("{request_id} got different receipts: {first:?}, then {receipts:?}")
        });
    }
    for write in writes {
        let WriteOutcome::Fail(refusal) = &write.outcome else { continue };
        findings.expect(Check::ExactlyOnce, is_about_the_server(&refusal.reason), || {
            format!("{request_id} was both acknowledged and refused: {}", refusal.reason)
        });
    }
}

fn at_most_once(log: &Log, request_id: &str, writes: &[&Write], findings: &mut Findings) {
    let commands = writes.first().map_or(0, |write| write.commands.len());
    let rows: Vec<u64> = log.of_request(request_id).map(|row| row.position).collect();
    let is_fine = rows.is_empty() || rows.len() == commands;
    findings.expect(Check::ExactlyOnce, is_fine, || {
        format!("{request_id} asked for {commands} events and left some at {rows:?}")
    });
    // Of a request that was never anything but refused, nothing may be there.
    let is_refused = writes.iter().all(|write| matches!(write.outcome, WriteOutcome::Fail(_)));
    findings.expect(Check::NothingInvented, !is_refused || rows.is_empty(), || {
        format!("{request_id} was refused, yet it is at {rows:?}")
    });
}

fn nothing_invented(
    Evidence { log, not_recorded, .. }: &Evidence,
    by_request: &HashMap<&str, Vec<&Write>>,
    findings: &mut Findings,
) {
    let is_recorded = |row: &&Row| not_recorded.is_none_or(|it| !row.stream.starts_with(it));
    for row in log.events().iter().filter(is_recorded) {
        let request = row.request().unwrap_or_default();
        let asked = by_request
            .get(request.as_str())
            .and_then(|writes| writes.first()?.commands.get(row.part_index as usize));
        let was_asked_for = asked.is_some_and(|command| is_doing_of(row, command, log));
        findings.expect(Check::NothingInvented, was_asked_for, || {
            format!("nobody asked for {} v{} at {}", row.stream, row.version, row.position)
        });
        let is_keyed_right =
            row.request_id.as_deref() == (row.part_index == 0).then_some(request.as_str());
        findings.expect(Check::ExactlyOnce, is_keyed_right, || {
            format!("the request id at {} is not where it must be unique", row.position)
        });
    }
}

/// Whether a row is what a command asked for.
fn is_doing_of(row: &Row, command: &Command, log: &Log) -> bool {
    let is_same = match (&command.action, row.change()) {
        (Action::Set(asked), Some(Change::Set { value, .. })) => *asked == value,
        (Action::Delete, Some(Change::Deleted { .. })) => true,
        (Action::RestoreVersion(asked), Some(Change::Restored { restored_version, .. })) => {
            *asked == restored_version
        }
        (Action::RestoreLast, Some(Change::Restored { restored_version, .. })) => {
            let before = row.position.checked_sub(1).and_then(|at| log.at(&row.stream, at));
            before.is_some_and(|it| it.value.is_none() && it.version == restored_version + 1)
        }
        _ => false,
    };
    is_same && row.stream == command.key
}
