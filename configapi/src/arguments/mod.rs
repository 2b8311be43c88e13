//! The flags that many commands share, each with its environment variable. What is read here is
//! checked here, and nowhere else.

mod freshness;
mod moment;
mod servers;
mod url;
pub mod variables;
mod write;

use clap::Args;

pub use self::freshness::{FreshnessArguments, linearizable};
pub use self::moment::{Moment, NotAMoment};
pub use self::servers::{CommandServer, Patience, QueryServer, Servers};
pub use self::url::{Url, has_user};
pub use self::write::{ProvenanceArguments, WriteArguments};
use crate::output::Format;

/// What every command that only reads can be told.
#[derive(Debug, Clone, Args)]
pub struct ReadArguments {
    #[command(flatten)]
    pub freshness: FreshnessArguments,

    #[command(flatten)]
    pub server: QueryServer,

    #[command(flatten)]
    pub patience: Patience,

    #[command(flatten)]
    pub output: OutputArguments,
}

/// Which namespace.
#[derive(Debug, Clone, Args)]
pub struct NamespaceArguments {
    /// The namespace
    #[arg(
        short,
        long,
        env = "CONFIGAPI_NAMESPACE",
        hide_env_values = true,
        default_value = "default"
    )]
    pub namespace: String,
}

/// Which configs of which namespaces.
#[derive(Debug, Clone, Args)]
pub struct ScopeArguments {
    #[command(flatten)]
    namespace: NamespaceArguments,

    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

impl ScopeArguments {
    /// The namespace as the wire wants it: empty with all of them.
    pub fn namespace(&self) -> String {
        if self.all_namespaces { String::new() } else { self.namespace.namespace.clone() }
    }
}

/// In which form the answer is printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArguments {
    /// The form of the output: table for people, json and yaml for programs, raw for shells
    #[arg(short, long, env = "CONFIGAPI_OUTPUT", hide_env_values = true, value_name = "FORM")]
    output: Option<Format>,
}

impl OutputArguments {
    /// The form that was asked for, or else the table.
    pub fn format(self) -> Format {
        self.format_or(Format::Table)
    }

    /// The form that was asked for, or else this one.
    pub fn format_or(self, default: Format) -> Format {
        self.output.unwrap_or(default)
    }
}
