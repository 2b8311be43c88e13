//! `configapi restore`: brings a deleted config back, or rolls a live one back.

use clap::Args;
use configapi_proto::timestamp_from_micros;
use configapi_proto::v1::restore_target::Moment as Target;
use configapi_proto::v1::{RestoreRequest, RestoreTarget};

use super::{receipts, records};
use crate::arguments::{Moment, NamespaceArguments, WriteArguments};
use crate::client::Commands;
use crate::failure::Failure;

/// Bring a deleted config back, or roll a live one back
///
/// Without a target, a deleted config gets its last value again; a live config needs a target. What
/// came between stays in the history.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi restore billing/retry-limit
  configapi restore billing/retry-limit --version 3 --reason 'version 4 broke checkout'
  configapi restore billing/retry-limit --at 15m
  configapi restore billing/retry-limit --position 1042")]
pub struct RestoreArguments {
    /// The name
    name: String,

    #[command(flatten)]
    target: TargetArguments,

    /// Refuse unless the config is at this version now
    #[arg(short, long, value_name = "VERSION")]
    expected_version: Option<u64>,

    #[command(flatten)]
    namespace: NamespaceArguments,

    #[command(flatten)]
    write: WriteArguments,
}

/// What to go back to.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct TargetArguments {
    /// To the value of this version
    #[arg(long, value_name = "VERSION")]
    version: Option<u64>,

    /// To the value at this moment: a time, a day, a time ago (15m, 7d) or a position
    #[arg(long, value_name = "MOMENT")]
    at: Option<Moment>,

    /// To the value at this position of the log
    #[arg(long, value_name = "POSITION")]
    position: Option<u64>,
}

impl TargetArguments {
    fn target(&self) -> Result<Option<RestoreTarget>, Failure> {
        let moment = match (self.version, self.at, self.position) {
            (Some(version), ..) => Target::Version(version),
            (_, Some(Moment::Time(micros)), _) => Target::Time(timestamp_from_micros(micros)),
            (_, Some(Moment::Position(position)), _) | (_, _, Some(position)) => {
                Target::Position(position)
            }
            // The contract has no way to check the epoch here, so a token would promise too much.
            (_, Some(Moment::Token(_)), _) => {
                return Err(Failure::usage("--at takes no token here")
                    .with_hint("give the position alone, if the log is still the same"));
            }
            (None, None, None) => return Ok(None),
        };
        Ok(Some(RestoreTarget { moment: Some(moment) }))
    }
}

pub async fn run(arguments: RestoreArguments) -> Result<(), Failure> {
    let RestoreArguments { name, target, expected_version, namespace, write } = arguments;
    let request_id = write.request_id();
    let request = RestoreRequest {
        namespace: namespace.namespace,
        name,
        target: target.target()?,
        expected_version,
        request_id: request_id.clone(),
        validate_only: write.dry_run,
        actor: write.actor(),
        reason: write.reason(),
    };
    let commands = Commands::new(&write.server, write.patience);
    let answer = commands
        .send(request, &request_id, async |mut client, command| client.restore(command).await)
        .await?;
    let receipt = records::receipt(answer.receipt.unwrap_or_default());
    receipts::print_one(&receipt, &request_id, &write)
}
