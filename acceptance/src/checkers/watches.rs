//! Watches against the log: over any chain of resumes, exactly the slice that matches.

use std::collections::BTreeMap;

use super::Evidence;
use super::findings::{Check, Findings};
use super::history::{Delivered, Frame, Place, Selection, WatchFrame};
use super::log::{Log, Row};
use super::reads::is_prefix;

/// Checks all watches.
pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let mut watches: BTreeMap<u32, Vec<&WatchFrame>> = BTreeMap::new();
    for frame in &evidence.history.frames {
        watches.entry(frame.watch).or_default().push(frame);
    }
    for (watch, frames) in watches {
        let mut follower = Follower { log: &evidence.log, watch, safe: None, pending: Vec::new() };
        for frame in frames {
            follower.follow(frame, findings);
        }
    }
}

/// A client of a watch that knows the log.
struct Follower<'a> {
    log: &'a Log,
    watch: u32,
    /// Up to where everything has been delivered.
    safe: Option<Place>,
    /// Events beyond that.
    pending: Vec<&'a Delivered>,
}

impl<'a> Follower<'a> {
    fn follow(&mut self, frame: &'a WatchFrame, findings: &mut Findings) {
        match &frame.frame {
            Frame::Resumed { after } => {
                let is_where_it_was = self.safe.is_none_or(|safe| safe == *after);
                let is_new_start = self.safe.is_some_and(|safe| self.log.is_lost(safe));
                findings.expect(Check::WatchExact, is_where_it_was || is_new_start, || {
                    format!("watch {} was resumed after {after:?}, not {:?}", self.watch, self.safe)
                });
                self.safe = Some(*after);
                self.pending.clear();
            }
            Frame::State(answer) => {
                self.pending.clear();
                self.safe = answer.place;
                if let Some(place) = answer.place.filter(|place| !self.log.is_lost(*place)) {
                    let server = &frame.server;
                    is_prefix(self.log, &frame.selection, answer, place, server, findings);
                    self.on_border(place, findings);
                }
            }
            Frame::Events { complete, events } => {
                self.pending.extend(events);
                self.settle(frame, *complete, findings);
            }
            Frame::Progress { complete } => self.settle(frame, *complete, findings),
            Frame::Ended { reason } => {
                let is_false_alarm = reason == "LOG_CHANGED"
                    && self.safe.is_some_and(|safe| !self.log.is_lost(safe));
                findings.expect(Check::WatchExact, !is_false_alarm, || {
                    format!("watch {} was told that {:?} is gone; it is not", self.watch, self.safe)
                });
                self.pending.clear();
            }
        }
    }

    fn on_border(&self, place: Place, findings: &mut Findings) {
        findings.expect(Check::ApplyWhole, self.log.is_border(place.position), || {
            let at = place.position;
            format!("watch {} is complete up to {at}, in the middle of a command", self.watch)
        });
    }

    /// Everything up to `complete` is said to have been delivered.
    fn settle(&mut self, frame: &WatchFrame, complete: Place, findings: &mut Findings) {
        let Some(safe) = self.safe else {
            findings.add(Check::WatchExact, format!("watch {} began with nothing", self.watch));
            return;
        };
        let is_progress = matches!(frame.frame, Frame::Progress { .. });
        let check = if is_progress { Check::ProgressTrue } else { Check::WatchExact };
        let goes_on = complete.position >= safe.position;
        findings.expect(check, goes_on, || {
            format!("watch {} went back from {safe:?} to {complete:?}", self.watch)
        });
        if self.log.is_lost(complete) {
            self.forget_lost(complete);
            return;
        }
        if self.log.is_lost(safe) {
            findings.add(
                Check::WatchExact,
                format!("watch {} was not told that {safe:?} is gone", self.watch),
            );
            self.pending.clear();
            self.safe = Some(complete);
            return;
        }
        self.on_border(complete, findings);
        let (from, to) = (safe.position, complete.position);
        let events = self.pending.iter().partition(|event| event.position <= to);
        let (delivered, beyond): (Vec<_>, Vec<_>) = events;
        let expected = slice(self.log, &frame.selection, from, to);
        if !is_same(&expected, &delivered) {
            let missing: Vec<_> = positions(&expected)
                .filter(|at| !positions_of(&delivered).any(|it| it == *at))
                .collect();
            let check = if missing.is_empty() { Check::WatchExact } else { check };
            findings.add(
                check,
                format!(
                    "watch {} of {:?} on {} delivered {} events from {from} to {to}, not {}; \
                     missing: {missing:?}",
                    self.watch,
                    frame.selection,
                    frame.server,
                    delivered.len(),
                    expected.len()
                ),
            );
        }
        self.pending = beyond;
        self.safe = Some(complete);
    }

    /// What was delivered from a tail that is gone cannot be compared with anything.
    fn forget_lost(&mut self, complete: Place) {
        self.pending.clear();
        self.safe = Some(complete);
    }
}

/// The matching events after a position, up to and including another.
fn slice<'a>(log: &'a Log, selection: &Selection, after: u64, to: u64) -> Vec<&'a Row> {
    let rows = log.events();
    let first = rows.partition_point(|row| row.position <= after);
    let matching = rows[first..].iter().take_while(|row| row.position <= to);
    matching.filter(|row| selection.has(&row.stream)).collect()
}

fn is_same(expected: &[&Row], delivered: &[&Delivered]) -> bool {
    expected.len() == delivered.len()
        && expected.iter().zip(delivered).all(|(row, event)| {
            row.position == event.position
                && row.version == event.version
                && row.stream == event.key
                && row.hash_text() == event.hash
        })
}

fn positions<'a>(rows: &'a [&'a Row]) -> impl Iterator<Item = u64> + 'a {
    rows.iter().map(|row| row.position)
}

fn positions_of<'a>(events: &'a [&'a Delivered]) -> impl Iterator<Item = u64> + 'a {
    events.iter().map(|event| event.position)
}
