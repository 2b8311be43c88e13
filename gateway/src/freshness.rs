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

impl Wish {
    /// The wish on the wire, given the newest token that this gateway remembers.
    pub fn on_wire(self, remembered: Option<Token>) -> Option<Consistency> {
        let wish = match self.level {
            Level::Linearizable => WireWish::Linearizable(Linearizable {}),
            Level::OwnWrites => WireWish::AtLeastToken(self.token.max(remembered)?.to_string()),
            Level::Any => WireWish::AtLeastToken(self.token?.to_string()),
        };
        Some(Consistency { wish: Some(wish) })
    }
}

/// The newest token of all writes through this gateway.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites(Mutex<Option<Token>>);

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

    fn lock(&self) -> MutexGuard<'_, Option<Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_read_waits_for_the_later_of_both_tokens_unless_it_does_not_care() {
        let (early, late) = (Token { epoch: 1, position: 1 }, Token { epoch: 1, position: 2 });
        let text = |wish: Wish, remembered| match wish.on_wire(remembered)?.wish? {
            WireWish::AtLeastToken(token) => Some(token),
            WireWish::Linearizable(_) => Some("linearizable".to_owned()),
        };
        let own = Wish { level: Level::OwnWrites, token: Some(early) };
        assert_eq!(text(own, Some(late)).as_deref(), Some("1-2"));
        assert_eq!(text(own, None).as_deref(), Some("1-1"));
        let any = Wish { level: Level::Any, token: None };
        assert_eq!(text(any, Some(late)), None);
        let linearizable = Wish { level: Level::Linearizable, token: None };
        assert_eq!(text(linearizable, None).as_deref(), Some("linearizable"));
    }
}
