//! `configapi at`: what one config, or all with a prefix, looked like at a moment of the past.

use clap::Args;
use configapi_proto::v1::AtTimeRequest;
use configapi_proto::v1::at_time_request::Selection;

use super::records::{self, CONFIG_COLUMNS, CONFIG_COLUMNS_ALL};
use crate::arguments::{Moment, ReadArguments, ScopeArguments};
use crate::client::{Pager, Queries};
use crate::failure::Failure;
use crate::output::{Format, Printer, Sheet};

/// Show what was true at a moment of the past
///
/// With a name, prints its value as it was; else all configs, as `configapi list` does. An answer
/// about the past never changes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi at 2024-01-15T10:30:00Z billing/retry-limit
  configapi at 15m --prefix billing/
  configapi at 1042 --all-namespaces --output json")]
pub struct AtArguments {
    /// The moment: a time, a day, a time ago (15m, 7d), a position or a token
    moment: Moment,

    /// The name; none means all
    #[arg(conflicts_with_all = ["prefix", "all_namespaces"])]
    name: Option<String>,

    /// Only configs whose names begin with this
    #[arg(short, long)]
    prefix: Option<String>,

    /// At most so many
    #[arg(short, long, value_name = "COUNT")]
    limit: Option<u64>,

    #[command(flatten)]
    scope: ScopeArguments,

    #[command(flatten)]
    read: ReadArguments,
}

pub async fn run(arguments: AtArguments) -> Result<(), Failure> {
    let AtArguments { moment, name, prefix, limit, scope, read } = arguments;
    let is_one = name.is_some();
    let selection = name.map(Selection::Name).or(prefix.map(Selection::Prefix));
    let mut request = AtTimeRequest {
        at: Some(moment.into()),
        namespace: scope.namespace(),
        all_namespaces: scope.all_namespaces,
        selection,
        consistency: read.freshness.consistency(),
        ..AtTimeRequest::default()
    };
    let queries = Queries::new(&read.server, read.patience);
    let default = if is_one { Format::Raw } else { Format::Table };
    let mut printer = Printer::new(read.output.format_or(default));
    if is_one {
        let answer =
            queries.ask(request, async |mut client, query| client.at_time(query).await).await?;
        let config = answer.configs.into_iter().next().unwrap_or_default();
        return match printer.format() {
            Format::Raw => Ok(printer.text(&config.value)?),
            _ => Ok(printer.one(&records::config(config), &[])?),
        };
    }
    let columns = if scope.all_namespaces { CONFIG_COLUMNS_ALL } else { CONFIG_COLUMNS };
    let raw: &[_] = if scope.all_namespaces { &["namespace", "name"] } else { &["name"] };
    let mut sheet = Sheet::new(&mut printer, columns, raw);
    let mut pager = Pager::new(limit);
    while let Some((page_size, page_token)) = pager.next() {
        request.page_size = page_size;
        request.page_token = page_token;
        let page = queries
            .ask(request.clone(), async |mut client, query| client.at_time(query).await)
            .await?;
        pager.got(page.configs.len(), page.next_page_token);
        for config in page.configs {
            sheet.push(&records::config(config))?;
        }
    }
    Ok(sheet.finish()?)
}
