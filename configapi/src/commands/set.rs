//! `configapi set`: gives a config a value.

use std::path::PathBuf;

use clap::Args;
use configapi_proto::v1::SetRequest;

use super::source::{Source, read_text};
use super::{receipts, records};
use crate::arguments::{NamespaceArguments, WriteArguments};
use crate::client::Commands;
use crate::failure::Failure;

/// The longest value that the contract allows, in bytes.
const MAX_VALUE_BYTES: u64 = 1_000_000;

/// Give a config a value
///
/// Prints a receipt. The write is durable once the receipt is printed; its token makes a read see
/// it. A deleted config is refused: bring it back with `configapi restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi set billing/retry-limit 3 --reason 'fewer timeouts'
  configapi set billing/rates --file rates.json --content-type application/json
  configapi set billing/key - < key.txt
  configapi set billing/retry-limit 4 --expected-version 7
  configapi set offset -- -5")]
pub struct SetArguments {
    /// The name
    name: String,

    /// The value; - reads it from stdin, exactly as it is
    #[arg(
        required_unless_present = "file",
        conflicts_with = "file",
        allow_negative_numbers = true
    )]
    value: Option<String>,

    /// Read the value from this file, exactly as it is
    #[arg(short, long, value_name = "PATH")]
    file: Option<PathBuf>,

    /// What kind of text the value is, such as application/json
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    content_type: String,

    /// Refuse unless the config is at this version; 0 means that it must never have existed
    #[arg(short, long, value_name = "VERSION")]
    expected_version: Option<u64>,

    #[command(flatten)]
    namespace: NamespaceArguments,

    #[command(flatten)]
    write: WriteArguments,
}

pub async fn run(arguments: SetArguments) -> Result<(), Failure> {
    let SetArguments { name, value, file, content_type, expected_version, namespace, write } =
        arguments;
    let value = match (value, file) {
        (Some(value), None) if value != "-" => value,
        (_, None) => read_text(&Source::Stdin, MAX_VALUE_BYTES)?,
        (_, Some(path)) => read_text(&Source::from(path), MAX_VALUE_BYTES)?,
    };
    let request_id = write.request_id();
    let request = SetRequest {
        namespace: namespace.namespace,
        name,
        value,
        content_type,
        expected_version,
        request_id: request_id.clone(),
        validate_only: write.dry_run,
        actor: write.actor(),
        reason: write.reason(),
    };
    let commands = Commands::new(&write.server, write.patience);
    let answer = commands
        .send(request, &request_id, async |mut client, command| client.set(command).await)
        .await?;
    let receipt = records::receipt(answer.receipt.unwrap_or_default());
    receipts::print_one(&receipt, &request_id, &write)
}
