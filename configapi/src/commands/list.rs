//! `configapi list`: the configs of a namespace or of all, now or at a moment of the past.

use clap::Args;
use configapi_proto::v1::ListRequest;

use super::records::{self, CONFIG_COLUMNS, CONFIG_COLUMNS_ALL};
use crate::arguments::{Moment, ReadArguments, ScopeArguments};
use crate::client::{Queries, list_pages};
use crate::failure::Failure;
use crate::output::{Printer, Sheet};

const KEY_COLUMNS: &[&str] = &["name", "version", "updated_at", "actor"];
const KEY_COLUMNS_ALL: &[&str] = &["namespace", "name", "version", "updated_at", "actor"];

/// List the configs of a namespace, or of all
///
/// In order of their names, byte for byte, all at one moment. Raw, a name on each line, and with
/// all namespaces the namespace before it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi list
  configapi list billing/
  configapi list billing/ --at 2024-01-15
  configapi list --all-namespaces --keys --output json
  configapi list --output raw | while read -r name; do configapi history \"$name\"; done")]
pub struct ListArguments {
    /// Only configs whose names begin with this
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,

    /// List as of this moment: a time, a day, a time ago (15m, 7d), a position or a token
    #[arg(long, value_name = "MOMENT")]
    at: Option<Moment>,

    /// Leave out the values
    #[arg(short, long)]
    keys: bool,

    /// At most so many
    #[arg(short, long, value_name = "COUNT")]
    limit: Option<u64>,

    #[command(flatten)]
    scope: ScopeArguments,

    #[command(flatten)]
    read: ReadArguments,
}

pub async fn run(arguments: ListArguments) -> Result<(), Failure> {
    let ListArguments { prefix, at, keys, limit, scope, read } = arguments;
    let request = ListRequest {
        namespace: scope.namespace(),
        all_namespaces: scope.all_namespaces,
        prefix,
        at: at.map(Into::into),
        keys_only: keys,
        consistency: read.freshness.consistency(),
        ..ListRequest::default()
    };
    let columns = match (scope.all_namespaces, keys) {
        (false, false) => CONFIG_COLUMNS,
        (false, true) => KEY_COLUMNS,
        (true, false) => CONFIG_COLUMNS_ALL,
        (true, true) => KEY_COLUMNS_ALL,
    };
    let raw: &[_] = if scope.all_namespaces { &["namespace", "name"] } else { &["name"] };
    let record = if keys { records::config_key } else { records::config };
    let queries = Queries::new(&read.server, read.patience);
    let mut printer = Printer::new(read.output.format());
    let mut sheet = Sheet::new(&mut printer, columns, raw);
    list_pages(&queries, request, limit, |configs| {
        configs.into_iter().try_for_each(|config| Ok(sheet.push(&record(config))?))
    })
    .await?;
    Ok(sheet.finish()?)
}
