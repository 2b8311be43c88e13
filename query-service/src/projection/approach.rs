//! What events are compared with when they are folded in lies anywhere in memory, and each step to it
//! leads through what the one before came to. So steps are taken ahead, each for a group of events
//! while those before them are folded in, and nobody waits for what a step asks for.

use configapi_domain::Position;

use super::decoded::Decoded;
use super::place::Place;
use super::state::State;

/// How many events are folded in between two steps.
pub const GROUP: usize = 8;
/// How many steps it is to all that one event is compared with.
const STEPS: usize = 6;

/// The way to what some events will be compared with. What it comes to is asked for, not kept: it may
/// be something else by the time the events are folded in.
#[derive(Debug)]
pub struct Approach {
    seen: Vec<Seen>,
    /// For how many of the events each step was taken.
    taken: [usize; STEPS],
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
        Self { seen: vec![Seen::default(); events], taken: [0; STEPS] }
    }

    /// Goes on with it. These events are left to be folded in, and the first group of them is next.
    pub(super) fn go_on(&mut self, state: &State, left: &[Decoded]) {
        let folded = self.seen.len().saturating_sub(left.len());
        for (step, taken) in self.taken.iter_mut().enumerate() {
            let upto = left.len().min(GROUP * (STEPS + 1 - step));
            let from = upto.min(taken.saturating_sub(folded));
            for (event, seen) in left[from..upto].iter().zip(&mut self.seen[folded + from..]) {
                seen.take(step, state, event);
            }
            *taken = folded + upto;
        }
    }
}

impl Seen {
    fn take(&mut self, step: usize, state: &State, event: &Decoded) {
        let configs = state.by_place();
        match step {
            0 => {
                self.hash = configs.hash(Place::of(event.node.key()));
                configs.ask_for(self.hash);
            }
            1 => {
                if let Some(history) = configs.find_likely(self.hash) {
                    history.ask_for();
                }
            }
            2 => {
                if let Some(history) = configs.find_likely(self.hash) {
                    history.ask_for_key();
                    self.newest = history.newest();
                    state.ask_for_place_of(self.newest);
                }
            }
            3 => {
                if let Some(newest) = state.later_too(self.newest) {
                    newest.ask_for();
                }
            }
            4 => {
                if let Some(newest) = state.later_too(self.newest) {
                    newest.ask_for_value();
                    newest.ask_for_jump();
                }
            }
            _ => {
                if let Some(newest) = state.later_too(self.newest) {
                    newest.ask_for_second_jump();
                }
            }
        }
    }
}
