//! How fresh a read must be: what the client says, and what was written through this gateway, so
//! that a client reads its own writes without saying anything.

use std::sync::{Mutex, MutexGuard, PoisonError};

use configapi_proto::Token;
use configapi_proto::v1::Consistency;
use configapi_proto::v1::consistency::{Linearizable, Wish as WireWish};

/// What a client wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    pub level: Level,
    /// The token that the client sent.
    pub token: Option<Token>,
}

/// How much a read must see, beside the client's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Level {
    /// What was written through this gateway.
    #[default]
    OwnWrites,
    /// Anything will do.
    Any,
    /// Everything acknowledged to anybody before the read began.
    Linearizable,
}

/// What a server must be at before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needed {
    /// Anywhere.
    Nothing,
    /// This token or later.
    Token(Token),
    /// Everything acknowledged to anybody.
    Linearizable,
    /// Everything acknowledged to anybody, and this token or later.
    LinearizableAnd(Token),
    /// Both tokens or later, which are of different epochs.
    Both {
        /// The one of the earlier epoch.
        earlier: Token,
        /// The one of the later epoch.
        later: Token,
    },
}

impl Wish {
    /// What a server must be at, given the newest token that this gateway remembers.
    pub fn needs(self, remembered: Option<Token>) -> Needed {
        match (self.level, self.token) {
            (Level::Linearizable, None) => Needed::Linearizable,
            (Level::Linearizable, Some(token)) => Needed::LinearizableAnd(token),
            (Level::OwnWrites, token) => Needed::tokens(token, remembered),
            (Level::Any, token) => Needed::tokens(token, None),
        }
    }
}

impl Needed {
    /// Both tokens, as far as they are there. Within an epoch the later position includes the
    /// other; across epochs the one may be lost without the other.
    pub fn tokens(one: Option<Token>, other: Option<Token>) -> Self {
        match (one, other) {
            (None, None) => Self::Nothing,
            (Some(one), Some(other)) if one.epoch != other.epoch => {
                Self::Both { earlier: one.min(other), later: one.max(other) }
            }
            (one, other) => one.max(other).map_or(Self::Nothing, Self::Token),
        }
    }
}

/// At this token or later, on the wire.
pub(crate) fn at_least(token: Token) -> Consistency {
    Consistency { wish: Some(WireWish::AtLeastToken(token.to_string())) }
}

/// At or after everything acknowledged, on the wire.
pub(crate) fn linearizable() -> Consistency {
    Consistency { wish: Some(WireWish::Linearizable(Linearizable {})) }
}

/// The newest token of all writes through this gateway.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites {
    newest: Mutex<Option<Token>>,
    /// Held by the one read that finds out whether the log holds it still.
    doubted: tokio::sync::Mutex<()>,
}

impl OwnWrites {
    /// Remembers a write's token, if it is the newest.
    pub fn saw(&self, token: &str) {
        if let Ok(token) = token.parse() {
            let mut newest = self.lock();
            *newest = (*newest).max(Some(token));
        }
    }

    pub fn newest(&self) -> Option<Token> {
        *self.lock()
    }

    /// Forgets a token whose place in the log is gone, unless there is a newer one by now.
    pub fn forget(&self, token: Token) {
        let mut newest = self.lock();
        if *newest == Some(token) {
            *newest = None;
        }
    }

    /// Goes on from another place in the log, unless there is a newer token by now.
    pub fn replace(&self, token: Token, other: Token) {
        let mut newest = self.lock();
        if *newest == Some(token) {
            *newest = Some(other);
        }
    }

    /// The turn to find out whether the log still holds the newest token. One has it at a time, so that a
    /// store that is slow is not asked by all who wait for it.
    pub fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        self.doubted.try_lock().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Token>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_token_wins_and_can_be_forgotten() {
        let writes = OwnWrites::default();
        for text in ["1-7", "1-3", "2-1", "nonsense", ""] {
            writes.saw(text);
        }
        let newest = Token { epoch: 2, position: 1 };
        assert_eq!(writes.newest(), Some(newest));
        writes.forget(Token { epoch: 1, position: 7 });
        assert_eq!(writes.newest(), Some(newest));
        writes.forget(newest);
        assert_eq!(writes.newest(), None);
    }

    #[test]
    fn a_read_needs_the_later_of_both_tokens_unless_it_does_not_care() {
        let token = |epoch, position| Token { epoch, position };
        let needs = |level, token: Option<Token>, own| Wish { level, token }.needs(own);
        let (early, late, other) = (token(1, 1), token(1, 2), token(2, 1));
        let own = |token, own| needs(Level::OwnWrites, token, own);
        assert_eq!(own(Some(early), Some(late)), Needed::Token(late));
        assert_eq!(own(Some(late), Some(early)), Needed::Token(late));
        assert_eq!(own(Some(early), None), Needed::Token(early));
        let both = Needed::Both { earlier: late, later: other };
        assert_eq!(own(Some(late), Some(other)), both);
        assert_eq!(own(Some(other), Some(late)), both);
        assert_eq!(needs(Level::Any, None, Some(late)), Needed::Nothing);
        assert_eq!(needs(Level::Any, Some(early), Some(late)), Needed::Token(early));
        assert_eq!(needs(Level::Linearizable, None, Some(late)), Needed::Linearizable);
        let and = Needed::LinearizableAnd(early);
        assert_eq!(needs(Level::Linearizable, Some(early), Some(late)), and);
    }
}
