//! Which configs the benchmarks use, what values they get, and the dice. Everything is made from
//! numbers, so that a load generator needs no list of keys.

use std::fmt::Write as _;

/// How many configs share a prefix, which makes a prefix a list of this size.
pub const GROUP: u64 = 1_000;
/// How many configs have a history.
pub const VERSIONED_KEYS: u64 = 1_000;
/// How many versions each of them has.
pub const VERSIONS: u64 = 10;

/// How many versions the configs have that show what a long past costs.
pub const DEPTHS: &[u64] = &[10, 1_000, 100_000];

/// The configs `bench/0000/000` and so on.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// How many there are.
    pub count: u64,
}

impl Keys {
    /// Replaces `name` by the name of the config with this number.
    pub fn write_name(name: &mut String, index: u64) {
        name.clear();
        // Writing to a string cannot fail.
        let _ = write!(name, "bench/{:04}/{:03}", index / GROUP, index % GROUP);
    }

    /// The name of the config with this number.
    pub fn name(index: u64) -> String {
        let mut name = String::new();
        Self::write_name(&mut name, index);
        name
    }

    /// The prefix that the configs of a group share.
    pub fn prefix(group: u64) -> String {
        format!("bench/{group:04}/")
    }

    /// How many whole groups there are, one at least.
    pub fn groups(self) -> u64 {
        (self.count / GROUP).max(1)
    }

    /// The name of the config with so many versions.
    pub fn deep(versions: u64) -> String {
        format!("depth/{versions}")
    }

    /// The name of a config with a history.
    pub fn versioned(index: u64) -> String {
        format!("versions/{index:04}")
    }
}

/// The configs that one slot of the load writes to, so that no two slots meet on one config.
#[derive(Debug)]
pub struct Share {
    first: u64,
    step: u64,
    steps: u64,
    dice: Dice,
}

impl Share {
    /// The share of slot `slot` of `slots`, in which these dice choose.
    pub fn new(keys: Keys, slot: u64, slots: u64, dice: Dice) -> Self {
        let step = slots.max(1);
        let steps = (keys.count / step).max(1);
        Self { first: slot % keys.count.max(1), step, steps, dice }
    }

    /// Any config of the share.
    pub fn next_index(&mut self) -> u64 {
        self.first + self.step * self.dice.below(self.steps)
    }
}

/// A value of a given size that is a different one each time.
#[derive(Debug)]
pub struct Values {
    text: String,
    fixed: usize,
    dice: Dice,
}

/// How many digits of a value differ from the next.
const VARYING_DIGITS: usize = 16;

impl Values {
    /// Values of `bytes` bytes, or of 16 if that is more.
    pub fn new(bytes: usize, dice: Dice) -> Self {
        let fixed = bytes.saturating_sub(VARYING_DIGITS);
        let text = "the-quick-brown-fox-jumps-over-the-lazy-dog+".chars().cycle();
        Self { text: text.take(fixed).collect(), fixed, dice }
    }

    /// The next value.
    pub fn next_value(&mut self) -> &str {
        let varying = self.dice.roll();
        self.with_number(varying)
    }

    /// The value that ends with this number, for those who look for it in what they receive.
    pub fn with_number(&mut self, number: u64) -> &str {
        self.text.truncate(self.fixed);
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{number:016x}");
        &self.text
    }

    /// The number that a value ends with.
    pub fn number_of(value: &str) -> Option<u64> {
        let start = value.len().checked_sub(VARYING_DIGITS)?;
        u64::from_str_radix(value.get(start..)?, 16).ok()
    }
}

/// Random enough for choosing keys, and cheap: xorshift64*.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall in a way of their own for each of these numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The dice of a slot. Each round has others: what a round before has touched is at hand for the
    /// server, and who met nothing else would measure that.
    pub fn of_slot(slot: u64, round: u64) -> Self {
        Self::new(Self::new(round).roll().wrapping_add(slot))
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 0 to `limit` - 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        // The high bits of the product: as even as a remainder, without the division.
        let product = u128::from(self.roll()) * u128::from(limit.max(1));
        u64::try_from(product >> 64).unwrap_or(0)
    }
}
