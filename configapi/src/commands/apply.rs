//! `configapi apply`: a file of commands, done as one change.

mod file;
mod json;

use std::path::PathBuf;

use clap::Args;
use configapi_proto::v1::ApplyRequest;

use super::source::{Source, read_text};
use super::{receipts, records};
use crate::arguments::{NamespaceArguments, WriteArguments};
use crate::client::Commands;
use crate::failure::Failure;

/// The most commands that are one change.
pub const MAX_COMMANDS: usize = 1_000;
/// The largest file: the most that the contract takes in one request, and room for its syntax.
const MAX_FILE_BYTES: u64 = 32 << 20;

const ABOUT: &str = "\
Do a file of commands as one change: all or none

The file is YAML or JSON: a list of at most 1,000 commands, or an object with `commands` and
`reason`. Each command is one of

  - set: NAME
    value: TEXT
    content_type: TYPE
  - delete: NAME
  - restore: NAME
    version: NUMBER      (or position: NUMBER, or at: TIME)

and may have a `namespace` and an `expected_version`. Later commands see what earlier ones did.";

const EXAMPLES: &str = "\
Examples:
  configapi apply release-42.yaml --dry-run
  configapi apply release-42.yaml --reason 'release 42'
  printf '[{set: a, value: 1}, {delete: b}]' | configapi apply -";

/// Do a file of commands as one change: all or none
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub struct ApplyArguments {
    /// The file; - is stdin
    file: PathBuf,

    #[command(flatten)]
    namespace: NamespaceArguments,

    #[command(flatten)]
    write: WriteArguments,
}

pub async fn run(arguments: ApplyArguments) -> Result<(), Failure> {
    let ApplyArguments { file, namespace, write } = arguments;
    let source = Source::from(file);
    let text = read_text(&source, MAX_FILE_BYTES)?;
    let changes = file::parse(&text, &source.name(), &namespace.namespace)?;
    let request_id = write.request_id();
    let own_reason = write.reason();
    let request = ApplyRequest {
        commands: changes.commands,
        request_id: request_id.clone(),
        validate_only: write.dry_run,
        actor: write.actor(),
        reason: if own_reason.is_empty() { changes.reason } else { own_reason },
    };
    let commands = Commands::new(&write.server, write.patience);
    let answer = commands
        .send(request, &request_id, async |mut client, command| client.apply(command).await)
        .await
        .map_err(|failure| failure.with_commands_named(|index| Some(file::command_at(index))))?;
    let receipts = answer.receipts.into_iter().map(records::receipt);
    receipts::print_all(receipts, &request_id, &write)
}
