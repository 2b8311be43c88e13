//! `configapi history`: all that ever happened to a config.

use clap::Args;
use configapi_proto::v1::{HistoryOrder, HistoryRequest};

use super::records::{self, EVENT_COLUMNS, EVENT_RAW};
use crate::arguments::{NamespaceArguments, ReadArguments};
use crate::client::{Pager, Queries};
use crate::failure::Failure;
use crate::output::terminal::say;
use crate::output::{Printer, Sheet};

/// Show all that ever happened to a config
///
/// Who changed it, when, why, and what it was before. Oldest first; a deleted config has its
/// history still.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi history billing/retry-limit
  configapi history billing/retry-limit --newest-first --limit 5
  configapi history billing/retry-limit --output json")]
pub struct HistoryArguments {
    /// The name
    name: String,

    /// Newest first
    #[arg(short = 'N', long)]
    newest_first: bool,

    /// At most so many
    #[arg(short, long, value_name = "COUNT")]
    limit: Option<u64>,

    #[command(flatten)]
    namespace: NamespaceArguments,

    #[command(flatten)]
    read: ReadArguments,
}

pub async fn run(arguments: HistoryArguments) -> Result<(), Failure> {
    let HistoryArguments { name, newest_first, limit, namespace, read } = arguments;
    let order = if newest_first { HistoryOrder::NewestFirst } else { HistoryOrder::OldestFirst };
    let mut request = HistoryRequest {
        namespace: namespace.namespace,
        name,
        order: order.into(),
        consistency: read.freshness.consistency(),
        ..HistoryRequest::default()
    };
    let queries = Queries::new(&read.server, read.patience);
    let mut printer = Printer::new(read.output.format());
    let mut sheet = Sheet::new(&mut printer, EVENT_COLUMNS, EVENT_RAW);
    let mut pager = Pager::new(limit);
    while let Some((page_size, page_token)) = pager.next() {
        request.page_size = page_size;
        request.page_token = page_token;
        let page = queries
            .ask(request.clone(), async |mut client, query| client.history(query).await)
            .await?;
        pager.got(page.events.len(), page.next_page_token);
        for event in page.events {
            let record = records::event(event).ok_or_else(records::unknown_event)?;
            sheet.push(&record)?;
        }
    }
    if sheet.rows() == 0 && limit != Some(0) {
        say("it has no history: it never existed");
    }
    Ok(sheet.finish()?)
}
