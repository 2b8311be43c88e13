//! `configapi get`: one config, now or at a moment of the past.

use clap::Args;
use configapi_proto::v1::GetRequest;

use super::records;
use crate::arguments::{Moment, NamespaceArguments, ReadArguments};
use crate::client::Queries;
use crate::failure::Failure;
use crate::output::{Format, Printer};

/// Print the value of a config
///
/// Prints the value exactly as it is, with a line break after it only on a terminal. The other
/// forms of output tell its version, position, times, actor and reason too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi get billing/retry-limit
  configapi get billing/retry-limit --output json
  configapi get billing/retry-limit --at 2024-01-15T10:30:00Z
  configapi get billing/retry-limit --token \"$(configapi set billing/retry-limit 4 -o raw)\"")]
pub struct GetArguments {
    /// The name
    name: String,

    /// Read at this moment: a time, a day, a time ago (15m, 7d), a position or a token
    #[arg(long, value_name = "MOMENT")]
    at: Option<Moment>,

    #[command(flatten)]
    namespace: NamespaceArguments,

    #[command(flatten)]
    read: ReadArguments,
}

pub async fn run(arguments: GetArguments) -> Result<(), Failure> {
    let GetArguments { name, at, namespace, read } = arguments;
    let request = GetRequest {
        namespace: namespace.namespace,
        name,
        at: at.map(Into::into),
        consistency: read.freshness.consistency(),
    };
    let queries = Queries::new(&read.server, read.patience);
    let answer = queries.ask(request, async |mut client, query| client.get(query).await).await?;
    let config = answer.config.unwrap_or_default();
    let mut printer = Printer::new(read.output.format_or(Format::Raw));
    match printer.format() {
        Format::Raw => printer.text(&config.value)?,
        Format::Table | Format::Json | Format::Yaml => {
            printer.one(&records::config(config), &[])?;
        }
    }
    Ok(())
}
