//! Strict serialisability, with the log as its witness: one sweep over what was known when. What
//! was seen by anybody before something began comes before it, and what was refused had a reason
//! somewhere between its beginning and its end.

use std::collections::HashMap;

use super::Evidence;
use super::findings::{Check, Findings};
use super::history::{Command, Frame, Place, Refusal, Wish, Write, WriteOutcome};
use super::log::Log;
use super::rules::{self, Config};

/// Checks the order of things.
pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let timeline = Timeline::of(evidence);
    writes_after_what_was_known(evidence, &timeline, findings);
    linearizable_reads(evidence, &timeline, findings);
    expected_versions(evidence, findings);
    // What a refusal was decided on may be gone with a lost tail.
    if evidence.log.changes_of_epoch() == 0 {
        refusals(evidence, &timeline, findings);
    }
}

/// What was certain to be in the log at an instant, and what cannot have been.
struct Timeline {
    /// Instants at which somebody knew of a position, with the highest position known by then.
    known: Vec<(u64, u64)>,
    /// When requests were sent, with the lowest position of any request sent then or later.
    unborn: Vec<(u64, u64)>,
}

impl Timeline {
    fn of(evidence: &Evidence) -> Self {
        let Evidence { history, log, .. } = evidence;
        let mut known: Vec<(u64, Place)> = Vec::new();
        for write in &history.writes {
            if let WriteOutcome::Ok(receipts) = &write.outcome {
                known.extend(receipts.last().map(|last| (write.returned_us, last.place)));
            }
        }
        for read in &history.reads {
            let place = read.answer.as_ref().and_then(|answer| answer.place);
            known.extend(place.map(|place| (read.returned_us, place)));
        }
        for frame in &history.frames {
            if let Frame::Events { complete, .. } | Frame::Progress { complete } = frame.frame {
                known.push((frame.received_us, complete));
            }
        }
        known.retain(|(_, place)| !log.is_lost(*place));
        let mut known: Vec<_> = known.into_iter().map(|(at, place)| (at, place.position)).collect();
        known.sort_unstable();
        let mut highest = 0;
        for (_, position) in &mut known {
            highest = highest.max(*position);
            *position = highest;
        }
        let mut unborn: Vec<(u64, u64)> = first_invocations(&history.writes)
            .into_iter()
            .filter_map(|(id, invoked_us)| Some((invoked_us, log.of_request(id).next()?.position)))
            .collect();
        unborn.sort_unstable();
        let mut lowest = u64::MAX;
        for (_, position) in unborn.iter_mut().rev() {
            lowest = lowest.min(*position);
            *position = lowest;
        }
        Self { known, unborn }
    }

    /// The highest position that somebody knew of before an instant.
    fn known_before(&self, instant_us: u64) -> u64 {
        let after = self.known.partition_point(|(at, _)| *at < instant_us);
        after.checked_sub(1).map_or(0, |last| self.known[last].1)
    }

    /// The highest position that can have been in the log before an instant: all after it belong
    /// to requests that had not been sent.
    fn possible_until(&self, instant_us: u64, head: u64) -> u64 {
        let first = self.unborn.partition_point(|(at, _)| *at <= instant_us);
        self.unborn.get(first).map_or(head, |(_, position)| position.saturating_sub(1).min(head))
    }
}

/// When each request was sent first.
fn first_invocations(writes: &[Write]) -> HashMap<&str, u64> {
    let mut first: HashMap<&str, u64> = HashMap::new();
    for write in writes {
        let invoked_us = first.entry(&write.request_id).or_insert(write.invoked_us);
        *invoked_us = write.invoked_us.min(*invoked_us);
    }
    first
}

fn writes_after_what_was_known(evidence: &Evidence, timeline: &Timeline, findings: &mut Findings) {
    for (id, invoked_us) in first_invocations(&evidence.history.writes) {
        let Some(row) = evidence.log.of_request(id).next() else { continue };
        let known = timeline.known_before(invoked_us);
        findings.expect(Check::StrictlySerialisable, row.position > known, || {
            format!("{id} is at {}, though {known} was known before it was sent", row.position)
        });
    }
}

fn linearizable_reads(evidence: &Evidence, timeline: &Timeline, findings: &mut Findings) {
    for read in &evidence.history.reads {
        let place = read.answer.as_ref().and_then(|answer| answer.place);
        let Some(place) = place.filter(|place| !evidence.log.is_lost(*place)) else { continue };
        if read.wish == Wish::Linearizable && read.at.is_none() {
            let known = timeline.known_before(read.invoked_us);
            findings.expect(Check::StrictlySerialisable, place.position >= known, || {
                format!(
                    "a linearizable read on {} answered at {}, though {known} was known before",
                    read.server, place.position
                )
            });
        }
        let possible = timeline.possible_until(read.returned_us, evidence.log.head());
        findings.expect(Check::StrictlySerialisable, place.position <= possible, || {
            let at = place.position;
            format!("a read on {} answered at {at} before that was asked for", read.server)
        });
    }
}

fn expected_versions(evidence: &Evidence, findings: &mut Findings) {
    for write in &evidence.history.writes {
        let rows = evidence.log.of_request(&write.request_id);
        for (command, row) in write.commands.iter().zip(rows) {
            let holds = command.expected_version.is_none_or(|it| it + 1 == row.version);
            findings.expect(Check::DecidedRightly, holds, || {
                let (id, expected) = (&write.request_id, command.expected_version);
                format!("{id} expected {expected:?} and became version {}", row.version)
            });
        }
    }
}

fn refusals(evidence: &Evidence, timeline: &Timeline, findings: &mut Findings) {
    for write in &evidence.history.writes {
        let WriteOutcome::Fail(refusal) = &write.outcome else { continue };
        if rules::is_about_the_server(&refusal.reason) {
            continue;
        }
        let lowest = timeline.known_before(write.invoked_us);
        let highest = timeline.possible_until(write.returned_us, evidence.log.head());
        let had_reason = candidates(&evidence.log, write, lowest, highest)
            .any(|position| is_refused_at(&evidence.log, write, refusal, position));
        findings.expect(Check::DecidedRightly, had_reason, || {
            let (id, reason) = (&write.request_id, &refusal.reason);
            format!(
                "{id} was refused with {reason}, which nothing from {lowest} to {highest} gives"
            )
        });
    }
}

/// The positions at which the answer to a command can change.
fn candidates<'a>(
    log: &'a Log,
    write: &'a Write,
    lowest: u64,
    highest: u64,
) -> impl Iterator<Item = u64> + 'a {
    let changes = write.commands.iter().flat_map(|command| log.moments(&command.key));
    let within = changes.map(|moment| moment.position).filter(move |at| *at <= highest);
    std::iter::once(lowest).chain(within.filter(move |at| *at > lowest))
}

/// Whether a command that meets the log at a position is refused for the reason given. The
/// commands of one Apply are on different configs, so each meets the log as it is.
fn is_refused_at(log: &Log, write: &Write, refusal: &Refusal, position: u64) -> bool {
    let index = refusal.command_index.unwrap_or_default();
    let Some(refused) = write.commands.get(index) else { return false };
    let before_it = &write.commands[..index];
    judged(log, refused, position, |config, command| {
        rules::breaks(config, command, &refusal.reason) == Some(true)
    }) && before_it.iter().all(|command| judged(log, command, position, rules::allows))
}

fn judged(
    log: &Log,
    command: &Command,
    position: u64,
    judge: impl Fn(Config<'_>, &Command) -> bool,
) -> bool {
    let moment = log.at(&command.key, position);
    let moments = log.moments(&command.key);
    let had_value_at = |version: u64| {
        let at = usize::try_from(version).ok()?.checked_sub(1)?;
        Some(moments.get(at)?.value.is_some())
    };
    let config = Config {
        version: moment.map_or(0, |moment| moment.version),
        is_live: moment.is_some_and(|moment| moment.value.is_some()),
        had_value_at: &had_value_at,
    };
    judge(config, command)
}
