//! What can be done in many ways is done in each way once before it is done in any way again, in an
//! order drawn by lot.

use crate::Random;

/// What is still to be done.
#[derive(Debug)]
pub struct Deck<T> {
    all: Vec<T>,
    left: Vec<T>,
    is_first_round: bool,
}

impl<T: Copy> Deck<T> {
    /// A deck of these.
    pub fn of(all: Vec<T>, random: &mut Random) -> Self {
        let mut deck = Self { all, left: Vec::new(), is_first_round: true };
        deck.shuffle(random);
        deck
    }

    fn shuffle(&mut self, random: &mut Random) {
        self.left.clone_from(&self.all);
        for at in (1..self.left.len()).rev() {
            self.left.swap(at, random.index(at + 1));
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The next one; none of an empty deck.
    pub fn draw(&mut self, random: &mut Random) -> Option<T> {
        if self.left.is_empty() {
            self.is_first_round = false;
            self.shuffle(random);
        }
        self.left.pop()
    }

    /// It took no effect, so it gets another turn after all others.
    pub fn put_back(&mut self, drawn: T) {
        self.left.insert(0, drawn);
    }

    /// Which have never taken effect.
    pub fn missing(&self) -> &[T] {
        if self.is_first_round { &self.left } else { &[] }
    }
}
