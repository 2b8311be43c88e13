//! The search by itself, on histories small enough to see through, and against trying every order.

use configapi_acceptance::checkers::linearizability::{Call, Model, Verdict, check};

const BUDGET: u64 = 1_000_000;

/// A register of one number.
struct Register;

#[derive(Debug, Clone, Copy)]
enum Operation {
    Read(u8),
    Write(u8),
}

impl Model for Register {
    type State = u8;
    type Operation = Operation;

    fn initial(&self) -> u8 {
        0
    }

    fn step(&self, state: &u8, operation: &Operation) -> Option<u8> {
        match *operation {
            Operation::Read(value) => (value == *state).then_some(value),
            Operation::Write(value) => Some(value),
        }
    }
}

fn call(invoked: u64, returned: impl Into<Option<u64>>, operation: Operation) -> Call<Operation> {
    Call { invoked, returned: returned.into(), operation }
}

fn verdict(calls: &[Call<Operation>]) -> Verdict {
    check(&Register, calls, BUDGET)
}

/// Tries every order of every subset that leaves out unknown calls only.
fn by_trying_all_orders(calls: &[Call<Operation>], state: u8, done: u32) -> bool {
    let is_open = |at: usize| done & (1 << at) == 0;
    if (0..calls.len()).all(|at| !is_open(at) || calls[at].returned.is_none()) {
        return true;
    }
    (0..calls.len()).filter(|&at| is_open(at)).any(|at| {
        let waits_for_another = (0..calls.len()).any(|other| {
            is_open(other)
                && calls[other].returned < Some(calls[at].invoked)
                && calls[other].returned.is_some()
        });
        !waits_for_another
            && Register
                .step(&state, &calls[at].operation)
                .is_some_and(|state| by_trying_all_orders(calls, state, done | (1 << at)))
    })
}

#[test]
fn a_read_may_see_either_side_of_a_write_that_is_under_way() {
    for seen in [0, 1] {
        let calls = [call(0, 9, Operation::Write(1)), call(1, 2, Operation::Read(seen))];
        assert_eq!(verdict(&calls), Verdict::Linearizable);
    }
}

#[test]
fn a_read_must_see_a_write_that_was_answered_before() {
    let calls = [call(0, 1, Operation::Write(1)), call(2, 3, Operation::Read(0))];
    assert_eq!(verdict(&calls), Verdict::Violated { stuck_at: 1 });
}

#[test]
fn a_value_once_seen_does_not_go_away_again() {
    let write = call(0, None, Operation::Write(1));
    let reads = |first, second| {
        [write.clone(), call(1, 2, Operation::Read(first)), call(3, 4, Operation::Read(second))]
    };
    assert_eq!(verdict(&reads(0, 1)), Verdict::Linearizable);
    assert_eq!(verdict(&reads(0, 0)), Verdict::Linearizable);
    assert_eq!(verdict(&reads(1, 0)), Verdict::Violated { stuck_at: 2 });
}

#[test]
fn a_search_that_takes_too_long_says_so() {
    let calls: Vec<_> = (0..12).map(|at| call(at, 99, Operation::Write(1))).collect();
    assert_eq!(check(&Register, &calls, 5), Verdict::GaveUp);
}

#[test]
fn the_search_agrees_with_trying_all_orders() {
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 33) % below
    };
    let mut violated = 0;
    for _ in 0..3_000 {
        let calls: Vec<_> = (0..6)
            .map(|_| {
                let invoked = next(20);
                let value = u8::try_from(next(3)).unwrap();
                if next(2) == 0 {
                    let returned = (next(4) > 0).then_some(invoked + 1 + next(8));
                    call(invoked, returned, Operation::Write(value))
                } else {
                    call(invoked, invoked + 1 + next(8), Operation::Read(value))
                }
            })
            .collect();
        let is_linearizable = by_trying_all_orders(&calls, 0, 0);
        violated += u32::from(!is_linearizable);
        assert_eq!(verdict(&calls) == Verdict::Linearizable, is_linearizable, "{calls:?}");
    }
    assert!((300..2_700).contains(&violated), "the histories must be of both kinds: {violated}");
}
