//! How fresh a read must be.

use clap::Args;
use configapi_proto::Token;
use configapi_proto::v1::Consistency;
use configapi_proto::v1::consistency::{Linearizable, Wish};

/// How fresh a read must be; any state will do unless one of these is given.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct FreshnessArguments {
    /// Read at this token or later: the token that a write has printed
    #[arg(long, env = "CONFIGAPI_TOKEN", hide_env_values = true, conflicts_with = "linearizable")]
    token: Option<Token>,

    /// Read everything that was acknowledged to anybody before
    #[arg(long)]
    linearizable: bool,
}

impl FreshnessArguments {
    /// The wish as the wire tells it.
    pub fn consistency(self) -> Option<Consistency> {
        let wish = match self.token {
            Some(token) => Wish::AtLeastToken(token.to_string()),
            None if self.linearizable => Wish::Linearizable(Linearizable {}),
            None => return None,
        };
        Some(Consistency { wish: Some(wish) })
    }
}

/// The wish for everything that was acknowledged to anybody before.
pub fn linearizable() -> Consistency {
    Consistency { wish: Some(Wish::Linearizable(Linearizable {})) }
}
