//! Epoch and position as one text: what a write returns and a read may wait for.

use std::fmt;
use std::str::FromStr;

/// A place in the log that keeps its meaning: `1-1042` is position 1042 of epoch 1. Ordered by
/// epoch, then by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// Grows when an operator restores the log or accepts the loss of its tail.
    pub epoch: u64,
    /// The position in the whole log; 0 is before the first event.
    pub position: u64,
}

/// A text that is not a token. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an epoch and a position, such as 1-1042")]
pub struct InvalidToken;

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.position)
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    /// Reads exactly what `Display` writes: no signs, spaces or leading zeros, so that a token has
    /// one form and can be compared as text for equality.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, position) = text.split_once('-').ok_or(InvalidToken)?;
        Ok(Self { epoch: number(epoch)?, position: number(position)? })
    }
}

fn number(digits: &str) -> Result<u64, InvalidToken> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if !plain || leading_zero {
        return Err(InvalidToken);
    }
    digits.parse().map_err(|_| InvalidToken)
}
