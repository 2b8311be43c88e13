//! How fresh a read must be.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use configapi_proto::Token;
use configapi_proto::v1::Consistency;
use configapi_proto::v1::consistency::{Linearizable, Wish};

/// How fresh a read must be; any state will do unless one of these is given.
#[derive(Debug, Clone, Default, Args)]
struct Flags {
    /// Read at this token or later: the token that a write has printed
    #[arg(long, env = "CONFIGAPI_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Read everything that was acknowledged to anybody before
    #[arg(long)]
    linearizable: bool,
}

/// The flags after it was decided which of them counts: what was typed, whatever the environment
/// says. To clap a variable is as good as a flag, so it cannot be left to it; nor can it say of one
/// that does not count that it is no token.
#[derive(Debug, Clone, Copy, Default)]
pub struct FreshnessArguments {
    token: Option<Token>,
    linearizable: bool,
}

impl Args for FreshnessArguments {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for FreshnessArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Flags { token, linearizable } = Flags::from_arg_matches(matches)?;
        let Some(text) = token else { return Ok(Self { token: None, linearizable }) };
        let is_typed = matches.value_source("token") == Some(ValueSource::CommandLine);
        if linearizable && is_typed {
            let why = "--token and --linearizable do not go together";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, why));
        }
        if linearizable {
            return Ok(Self { token: None, linearizable });
        }
        let token = text.parse().map_err(|error: configapi_proto::InvalidToken| {
            let variable = if is_typed { "" } else { " (CONFIGAPI_TOKEN)" };
            let why = format!("invalid value '{text}' for '--token <TOKEN>{variable}': {error}");
            clap::Error::raw(ErrorKind::ValueValidation, why)
        })?;
        Ok(Self { token: Some(token), linearizable })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
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
