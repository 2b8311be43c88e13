//! What events are compared with when they are folded in lies anywhere in memory, and each step to it
//! leads through what the one before came to. So steps are taken ahead, each for a group of events
//! while those before them are folded in, and nobody waits for what a step asks for.

use configapi_domain::Position;

use super::decoded::Decoded;
use super::place::Place;
use super::state::State;

/// How many events are folded in between two steps.
pub const GROUP: usize = 8;
/// The steps to all that one event is compared with.
const STEPS: [fn(&mut Seen, &State, &Decoded); 6] = [
    Seen::reach_slot,
    Seen::reach_history,
    Seen::reach_newest_place,
    Seen::reach_newest,
    Seen::reach_value_and_jump,
    Seen::reach_second_jump,
];

/// The way to what some events will be compared with. What it comes to is asked for, not kept: it may
/// be something else by the time the events are folded in.
#[derive(Debug)]
pub struct Approach {
    seen: Vec<Seen>,
    /// For how many of the events each step was taken.
    taken: [usize; STEPS.len()],
}

/// What leads on to the next step.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    hash: u64,
    newest: Position,
}

impl Approach {
    /// The way for so many events.
    pub fn new(events: usize) -> Self {
        Self { seen: vec![Seen::default(); events], taken: [0; STEPS.len()] }
    }

    /// Goes on with it. These events are left to be folded in, the first [`GROUP`] of them before this
    /// is called again.
    pub fn go_on(&mut self, state: &State, left: &[Decoded]) {
        let folded = self.seen.len().saturating_sub(left.len());
        // The first step is the farthest ahead; the last is ahead by the group after the next one.
        let groups = (2..=STEPS.len() + 1).rev();
        for ((step, taken), groups) in STEPS.iter().zip(&mut self.taken).zip(groups) {
            let upto = left.len().min(GROUP * groups);
            let from = upto.min(taken.saturating_sub(folded));
            for (event, seen) in left[from..upto].iter().zip(&mut self.seen[folded + from..]) {
                step(seen, state, event);
            }
            *taken = folded + upto;
        }
    }
}

impl Seen {
    fn reach_slot(&mut self, state: &State, event: &Decoded) {
        self.hash = state.by_place().hash(Place::of(event.node.key()));
        state.by_place().ask_for(self.hash);
    }

    fn reach_history(&mut self, state: &State, _: &Decoded) {
        if let Some(history) = state.by_place().find_likely(self.hash) {
            history.ask_for();
        }
    }

    fn reach_newest_place(&mut self, state: &State, _: &Decoded) {
        if let Some(history) = state.by_place().find_likely(self.hash) {
            history.ask_for_key();
            self.newest = history.newest();
            state.ask_for_place_of(self.newest);
        }
    }

    fn reach_newest(&mut self, state: &State, _: &Decoded) {
        if let Some(newest) = state.later_too(self.newest) {
            newest.ask_for();
        }
    }

    fn reach_value_and_jump(&mut self, state: &State, _: &Decoded) {
        if let Some(newest) = state.later_too(self.newest) {
            newest.ask_for_value();
            newest.ask_for_jump();
        }
    }

    fn reach_second_jump(&mut self, state: &State, _: &Decoded) {
        if let Some(newest) = state.later_too(self.newest) {
            newest.ask_for_second_jump();
        }
    }
}
