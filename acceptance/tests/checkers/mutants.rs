//! A harness that cannot see a bug proves nothing: every bug that is planted in the simulated
//! system has to be seen, by the check that is there for it, and without one nothing is.

use configapi_acceptance::checkers::history::{History, WriteOutcome};
use configapi_acceptance::checkers::{Check, Findings, check_all};

use crate::bugs::{BUGS, Bug};
use crate::simulator::simulate;

/// How many runs of the correct system must be found correct.
const CORRECT_RUNS: u64 = 30;
/// How many runs a bug has to show itself in one of.
const CHANCES: u64 = 12;

#[test]
fn a_correct_system_is_found_correct() {
    for seed in 0..CORRECT_RUNS {
        let evidence = simulate(seed, None);
        let findings = check_all(&evidence);
        assert_eq!(findings.told(), [], "seed {seed}");
        assert!(findings.undecided.is_empty(), "seed {seed}: {:?}", findings.undecided);
    }
}

#[test]
fn the_simulated_system_does_enough_to_be_judged() {
    let evidence = simulate(1, None);
    let History { writes, reads, frames } = &evidence.history;
    let outcomes =
        |is: fn(&WriteOutcome) -> bool| writes.iter().filter(|write| is(&write.outcome)).count();
    assert!(outcomes(|it| matches!(it, WriteOutcome::Ok(_))) > 150);
    assert!(outcomes(|it| matches!(it, WriteOutcome::Fail(_))) > 50);
    assert!(outcomes(|it| matches!(it, WriteOutcome::Unknown { .. })) > 20);
    assert!(reads.iter().filter(|read| read.answer.is_some()).count() > 200);
    assert!(frames.len() > 300);
    assert!(evidence.log.events().iter().filter(|row| row.part_size > 1).count() > 50);
}

#[test]
fn a_lost_tail_is_told_apart_from_lost_acknowledgements() {
    let mut lost = 0;
    for seed in (0..CORRECT_RUNS).step_by(3) {
        let mut evidence = simulate(seed, None);
        let findings = check_all(&evidence);
        lost += findings.lost_and_said_so;
        evidence.tail_may_be_lost = false;
        let strict = check_all(&evidence);
        assert_eq!(strict.count(Check::Durable), findings.lost_and_said_so, "seed {seed}");
    }
    assert!(lost > 0, "no run lost anything that was acknowledged");
}

#[test]
fn every_planted_bug_is_seen_by_the_check_that_is_there_for_it() {
    let sees = |bug: Bug, check: Check| {
        (0..CHANCES).any(|seed| {
            let findings: Findings = check_all(&simulate(seed, Some(bug)));
            findings.count(check) > 0
        })
    };
    let unseen: Vec<_> = BUGS.iter().filter(|(bug, check)| !sees(*bug, *check)).collect();
    assert!(unseen.is_empty(), "planted and not seen: {unseen:?}");
}

#[test]
fn a_recorded_history_can_be_read_back() {
    let history = simulate(2, None).history;
    let mut recorded = Vec::new();
    history.write_to(&mut recorded).unwrap();
    assert_eq!(History::read_from(recorded.as_slice()).unwrap(), history);
}
