//! What every command that changes something can be told.

use std::env;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use configapi_runtime::request_id::RequestId;

use super::OutputArguments;
use super::servers::{CommandServer, Patience};

/// The longest actor that the contract allows, in bytes.
const MAX_ACTOR_BYTES: usize = 256;

/// Who changes something, and why: what the history will tell.
#[derive(Debug, Clone, Args)]
pub struct ProvenanceArguments {
    /// Why, for the record
    #[arg(short, long, env = "CONFIGAPI_REASON", hide_env_values = true, value_name = "TEXT")]
    reason: Option<String>,

    /// Who asks, for the record [default: $USER@host]
    #[arg(long, env = "CONFIGAPI_ACTOR", hide_env_values = true, value_name = "NAME")]
    actor: Option<String>,
}

impl ProvenanceArguments {
    /// Who asks.
    pub fn actor(&self) -> String {
        self.actor.clone().unwrap_or_else(user_at_host)
    }

    /// Why; empty if nobody said.
    pub fn reason(&self) -> String {
        self.reason.clone().unwrap_or_default()
    }
}

/// What every command that changes something can be told.
#[derive(Debug, Clone, Args)]
pub struct WriteArguments {
    #[command(flatten)]
    pub provenance: ProvenanceArguments,

    /// Makes the command repeatable: the same id has the same outcome, once [default: a new one]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,

    /// Check everything, write nothing, and print what would happen
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub server: CommandServer,

    #[command(flatten)]
    pub patience: Patience,

    #[command(flatten)]
    pub output: OutputArguments,
}

impl WriteArguments {
    /// Who asks.
    pub fn actor(&self) -> String {
        self.provenance.actor()
    }

    /// Why; empty if nobody said.
    pub fn reason(&self) -> String {
        self.provenance.reason()
    }

    /// The id under which the command can be repeated. Ask once.
    pub fn request_id(&self) -> String {
        match &self.request_id {
            Some(id) => id.clone(),
            None => RequestId::generate().as_str().to_owned(),
        }
    }
}

/// Who is at this machine, in as much of the name as the record takes.
fn user_at_host() -> String {
    let user = env::var("USER").or_else(|_| env::var("LOGNAME")).unwrap_or_default();
    let host = gethostname::gethostname();
    let mut name = match (user.is_empty(), host.is_empty()) {
        (false, false) => format!("{user}@{}", host.to_string_lossy()),
        (false, true) => user,
        (true, _) => host.to_string_lossy().into_owned(),
    };
    name.retain(|c| !c.is_control());
    name.truncate(name.floor_char_boundary(MAX_ACTOR_BYTES));
    name
}
