//! Is there one order of all calls that respects real time and explains every answer? The search
//! of Wing and Gong, with Lowe's memory of configurations already seen. It knows nothing of
//! configs: what a call means is the model's business.

use std::collections::HashSet;
use std::hash::Hash;

/// What the thing under test is supposed to be, as a sequential machine.
pub trait Model {
    /// What it remembers.
    type State: Clone + Eq + Hash;
    /// A call together with the answer it got.
    type Operation;

    /// What it remembers at first.
    fn initial(&self) -> Self::State;

    /// What it remembers after the call; none if it could not have answered like this.
    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;
}

/// One call, when it began and when its answer came.
#[derive(Debug, Clone)]
pub struct Call<O> {
    /// When it was made.
    pub invoked: u64,
    /// When its answer came. None if the outcome is unknown: it may take effect at any later time,
    /// or never.
    pub returned: Option<u64>,
    /// What was asked and answered.
    pub operation: O,
}

/// What came of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none; the search never got past the answer of this call.
    Violated {
        /// Which of the calls, counted from 0.
        stuck_at: usize,
    },
    /// The search took more steps than it was allowed to.
    GaveUp,
}

/// Searches for an order of the calls, in at most `budget` steps.
pub fn check<M: Model>(model: &M, calls: &[Call<M::Operation>], budget: u64) -> Verdict {
    Search::new(model, calls).run(budget)
}

/// The border of the list: before the first event and after the last.
const EDGE: usize = 0;

#[derive(Debug, Clone, Copy)]
enum Node {
    Edge,
    Invoked { call: usize, returned: Option<usize> },
    Returned { call: usize },
}

/// A call that has been given its place, and what was remembered before it.
struct Placed<S> {
    node: usize,
    before: S,
}

struct Search<'a, M: Model> {
    model: &'a M,
    calls: &'a [Call<M::Operation>],
    nodes: Vec<Node>,
    next: Vec<usize>,
    previous: Vec<usize>,
    linearized: Linearized,
    /// Calls whose answer is known and which have no place yet.
    open_answers: usize,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, calls: &'a [Call<M::Operation>]) -> Self {
        // Invocations come before answers of the same instant: such calls count as concurrent.
        let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * calls.len());
        for (call, made) in calls.iter().enumerate() {
            events.push((made.invoked, false, call));
            if let Some(returned) = made.returned {
                events.push((returned.max(made.invoked), true, call));
            }
        }
        events.sort_unstable();
        let mut nodes = vec![Node::Edge];
        let mut invoked_at = vec![EDGE; calls.len()];
        for (_, is_answer, call) in events {
            let here = nodes.len();
            if !is_answer {
                invoked_at[call] = here;
                nodes.push(Node::Invoked { call, returned: None });
                continue;
            }
            nodes.push(Node::Returned { call });
            if let Node::Invoked { returned, .. } = &mut nodes[invoked_at[call]] {
                *returned = Some(here);
            }
        }
        let length = nodes.len();
        Self {
            model,
            calls,
            nodes,
            next: (0..length).map(|node| (node + 1) % length).collect(),
            previous: (0..length).map(|node| (node + length - 1) % length).collect(),
            linearized: Linearized::new(calls),
            open_answers: calls.iter().filter(|call| call.returned.is_some()).count(),
        }
    }

    fn run(mut self, budget: u64) -> Verdict {
        let mut state = self.model.initial();
        let mut placed: Vec<Placed<M::State>> = Vec::new();
        let mut seen = HashSet::new();
        let mut furthest = EDGE;
        let mut node = self.next[EDGE];
        for _ in 0..budget {
            if self.open_answers == 0 {
                return Verdict::Linearizable;
            }
            match self.nodes[node] {
                Node::Invoked { call, .. } => {
                    let after = self.model.step(&state, &self.calls[call].operation);
                    let is_new = after.is_some_and(|after| {
                        self.linearized.set(call, true);
                        let is_new = seen.insert((self.linearized.key(), after.clone()));
                        if is_new {
                            placed.push(Placed {
                                node,
                                before: std::mem::replace(&mut state, after),
                            });
                        } else {
                            self.linearized.set(call, false);
                        }
                        is_new
                    });
                    if is_new {
                        self.lift(node);
                        node = self.next[EDGE];
                    } else {
                        node = self.next[node];
                    }
                }
                Node::Returned { .. } | Node::Edge => {
                    furthest = furthest.max(node);
                    let Some(last) = placed.pop() else { return self.violated(furthest) };
                    state = last.before;
                    self.unlift(last.node);
                    node = self.next[last.node];
                }
            }
        }
        Verdict::GaveUp
    }

    fn violated(&self, furthest: usize) -> Verdict {
        let stuck_at = match self.nodes[furthest] {
            Node::Returned { call } | Node::Invoked { call, .. } => call,
            Node::Edge => 0,
        };
        Verdict::Violated { stuck_at }
    }

    /// Takes a call that got its place out of the list.
    fn lift(&mut self, node: usize) {
        self.unlink(node);
        if let Node::Invoked { returned: Some(returned), .. } = self.nodes[node] {
            self.unlink(returned);
            self.open_answers -= 1;
        }
    }

    /// Puts the call that was lifted last back.
    fn unlift(&mut self, node: usize) {
        if let Node::Invoked { call, returned } = self.nodes[node] {
            if let Some(returned) = returned {
                self.relink(returned);
                self.open_answers += 1;
            }
            self.linearized.set(call, false);
        }
        self.relink(node);
    }

    fn unlink(&mut self, node: usize) {
        let (previous, next) = (self.previous[node], self.next[node]);
        self.next[previous] = next;
        self.previous[next] = previous;
    }

    fn relink(&mut self, node: usize) {
        let (previous, next) = (self.previous[node], self.next[node]);
        self.next[previous] = node;
        self.previous[next] = node;
    }
}

/// Which calls have their place. Calls with an answer are numbered in the order in which they were
/// made and those without apart from them: then few words tell two such sets apart, however long
/// the history is.
struct Linearized {
    slots: Vec<(usize, bool)>,
    answered: Vec<u64>,
    unknown: Vec<u64>,
}

/// A set of calls, shortened: the words of `answered` from `offset` on, then those of `unknown`.
type Key = (usize, Box<[u64]>, Box<[u64]>);

const WORD_BITS: usize = 64;

impl Linearized {
    fn new<O>(calls: &[Call<O>]) -> Self {
        let mut order: Vec<usize> = (0..calls.len()).collect();
        order.sort_by_key(|&call| calls[call].invoked);
        let mut slots = vec![(0, false); calls.len()];
        let (mut answered, mut unknown) = (0, 0);
        for call in order {
            let is_answered = calls[call].returned.is_some();
            let count = if is_answered { &mut answered } else { &mut unknown };
            slots[call] = (*count, is_answered);
            *count += 1;
        }
        let words = |bits: usize| vec![0; bits.div_ceil(WORD_BITS)];
        Self { slots, answered: words(answered), unknown: words(unknown) }
    }

    fn set(&mut self, call: usize, is_placed: bool) {
        let (slot, is_answered) = self.slots[call];
        let words = if is_answered { &mut self.answered } else { &mut self.unknown };
        let bit = 1 << (slot % WORD_BITS);
        if is_placed {
            words[slot / WORD_BITS] |= bit;
        } else {
            words[slot / WORD_BITS] &= !bit;
        }
    }

    fn key(&self) -> Key {
        let offset = self.answered.iter().take_while(|&&word| word == u64::MAX).count();
        (offset, without_zeros(&self.answered[offset..]), without_zeros(&self.unknown))
    }
}

/// The words without the zeros at their end.
fn without_zeros(words: &[u64]) -> Box<[u64]> {
    let length = words.iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
    words[..length].into()
}
