//! Answers against the log: each is the fold of a prefix, at the position it states, fresh enough,
//! and the same for everybody who asks about the same position.

use std::collections::HashMap;

use super::Evidence;
use super::findings::{Check, Findings};
use super::history::{Answer, Found, Place, Read, Selection, Wish};
use super::log::Log;

/// Checks all reads.
pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let log = &evidence.log;
    for (read, answer, place) in answered(&evidence.history.reads) {
        fresh_enough(log, read, place, findings);
        if log.is_lost(place) {
            continue;
        }
        is_prefix(log, &read.selection, answer, place, &read.server, findings);
        match read.at {
            Some(at) => findings.expect(Check::ReplicaIsPrefix, place.position == at, || {
                format!("{} was asked about {at} and answered {}", read.server, place.position)
            }),
            None => findings.expect(Check::ApplyWhole, log.is_border(place.position), || {
                let at = place.position;
                format!("{} answered at {at}, in the middle of a command", read.server)
            }),
        }
    }
    for read in &evidence.history.reads {
        let Wish::AtLeast(token) = read.wish else { continue };
        let is_false_alarm = read.failure == "LOG_CHANGED" && !log.is_lost(token);
        findings.expect(Check::TokenRead, !is_false_alarm, || {
            format!("{} said that {token:?} is gone; it is not", read.server)
        });
    }
    sessions_never_go_back(evidence, findings);
    past_is_immutable(&evidence.history.reads, findings);
}

/// The reads that were answered with a place.
fn answered(reads: &[Read]) -> impl Iterator<Item = (&Read, &Answer, Place)> {
    reads.iter().filter_map(|read| {
        let answer = read.answer.as_ref()?;
        Some((read, answer, answer.place?))
    })
}

/// Checks an answer about a place that is not lost against the log.
pub fn is_prefix(
    log: &Log,
    selection: &Selection,
    answer: &Answer,
    place: Place,
    server: &str,
    findings: &mut Findings,
) {
    let at = place.position;
    findings.expect(Check::ReplicaIsPrefix, at <= log.head(), || {
        format!("{server} answered at {at}, where nothing is")
    });
    let expected = log.live_at(selection, at);
    let is_same = expected.len() == answer.found.len()
        && expected.iter().zip(&answer.found).all(|((key, moment), found)| {
            *key == found.key
                && moment.version == found.version
                && moment.position == found.position
                && moment.value.as_deref() == Some(&found.value)
        });
    findings.expect(Check::ReplicaIsPrefix, is_same, || {
        let differing = answer.found.iter().find(|found| {
            !expected.iter().any(|(key, moment)| {
                *key == found.key
                    && moment.version == found.version
                    && moment.position == found.position
            })
        });
        format!(
            "{server} answered at {at} about {selection:?} what the log does not say there; \
             {} configs, expected {}, the first that differs: {differing:?}",
            answer.found.len(),
            expected.len()
        )
    });
}

fn fresh_enough(log: &Log, read: &Read, place: Place, findings: &mut Findings) {
    let Wish::AtLeast(token) = read.wish else { return };
    let is_fresh = read.at.is_some()
        || (place >= token || place.position >= token.position && !log.is_lost(place));
    let is_of_this_log = place.epoch == token.epoch || !log.is_lost(token);
    findings.expect(Check::TokenRead, is_fresh && is_of_this_log, || {
        format!("{} answered at {place:?} though {token:?} was asked for", read.server)
    });
}

/// In the order in which a client read: one call at a time.
fn sessions_never_go_back(evidence: &Evidence, findings: &mut Findings) {
    let mut in_order: Vec<_> =
        answered(&evidence.history.reads).filter(|(read, ..)| read.in_session).collect();
    in_order.sort_by_key(|(read, ..)| (read.process, read.invoked_us));
    for pair in in_order.windows(2) {
        let ((before, _, was), (after, _, is)) = (pair[0], pair[1]);
        let goes_on = before.process == after.process && !evidence.log.is_lost(was);
        findings.expect(Check::MonotonicSession, !goes_on || is.position >= was.position, || {
            format!(
                "client {} was at {} on {}, then at {} on {}",
                after.process, was.position, before.server, is.position, after.server
            )
        });
    }
}

/// Whoever asks about a config at a position, on whichever server, is told the same.
fn past_is_immutable(reads: &[Read], findings: &mut Findings) {
    let mut told: HashMap<(Place, &Selection), &[Found]> = HashMap::new();
    for (read, answer, place) in answered(reads) {
        let first = *told.entry((place, &read.selection)).or_insert(&answer.found);
        findings.expect(Check::PastImmutable, first == answer.found, || {
            let selection = &read.selection;
            format!("{} tells {selection:?} at {place:?} otherwise than before", read.server)
        });
    }
}
