//! `configapi delete`: deletes a config. Its history stays.

use clap::Args;
use configapi_proto::v1::DeleteRequest;

use super::{receipts, records};
use crate::arguments::{NamespaceArguments, WriteArguments};
use crate::client::Commands;
use crate::failure::Failure;

/// Delete a config
///
/// Its history stays, and `configapi restore` brings it back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi delete billing/retry-limit --reason 'moved to the service itself'
  configapi delete billing/retry-limit --expected-version 7
  configapi delete billing/retry-limit --dry-run")]
pub struct DeleteArguments {
    /// The name
    name: String,

    /// Refuse unless the config is at this version
    #[arg(short, long, value_name = "VERSION")]
    expected_version: Option<u64>,

    #[command(flatten)]
    namespace: NamespaceArguments,

    #[command(flatten)]
    write: WriteArguments,
}

pub async fn run(arguments: DeleteArguments) -> Result<(), Failure> {
    let DeleteArguments { name, expected_version, namespace, write } = arguments;
    let request_id = write.request_id();
    let request = DeleteRequest {
        namespace: namespace.namespace,
        name,
        expected_version,
        request_id: request_id.clone(),
        validate_only: write.dry_run,
        actor: write.actor(),
        reason: write.reason(),
    };
    let commands = Commands::new(&write.server, write.patience);
    let answer = commands
        .send(request, &request_id, async |mut client, command| client.delete(command).await)
        .await?;
    let receipt = records::receipt(answer.receipt.unwrap_or_default());
    receipts::print_one(&receipt, &request_id, &write)
}
