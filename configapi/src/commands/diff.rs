//! `configapi diff`: what differs between two moments.

use clap::Args;
use configapi_proto::v1::{DiffEntry, DiffKind, DiffRequest};

use super::records;
use crate::arguments::{Moment, ReadArguments, ScopeArguments};
use crate::client::{Pager, Queries};
use crate::failure::Failure;
use crate::output::terminal::{Paint, cut, printable};
use crate::output::{Format, Printer, Record, Sheet};

/// The widest that a value is shown on a terminal, in characters.
const MAX_VALUE_CHARS: usize = 60;
const RAW: &[&str] = &["kind", "namespace", "name"];

/// Show what differs between two moments
///
/// A config that only got newer versions of the same content does not differ. The second moment may
/// be the earlier one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi diff 15m
  configapi diff 2024-01-15 2024-01-16 --prefix billing/
  configapi diff 1042 1099 --all-namespaces --output json")]
pub struct DiffArguments {
    /// From this moment: a time, a day, a time ago (15m, 7d), a position or a token
    from: Moment,

    /// To this moment [default: now]
    to: Option<Moment>,

    /// Only configs whose names begin with this
    #[arg(short, long, default_value = "", hide_default_value = true)]
    prefix: String,

    /// At most so many
    #[arg(short, long, value_name = "COUNT")]
    limit: Option<u64>,

    #[command(flatten)]
    scope: ScopeArguments,

    #[command(flatten)]
    read: ReadArguments,
}

pub async fn run(arguments: DiffArguments) -> Result<(), Failure> {
    let DiffArguments { from, to, prefix, limit, scope, read } = arguments;
    let mut request = DiffRequest {
        from: Some(from.into()),
        to: to.map(Into::into),
        namespace: scope.namespace(),
        all_namespaces: scope.all_namespaces,
        prefix,
        consistency: read.freshness.consistency(),
        ..DiffRequest::default()
    };
    let queries = Queries::new(&read.server, read.patience);
    let mut printer = Printer::new(read.output.format());
    let (paint, is_terminal) = (printer.paint(), printer.is_terminal());
    let mut pager = Pager::new(limit);
    if printer.format() == Format::Table {
        while let Some(entries) = page(&queries, &mut request, &mut pager).await? {
            for entry in entries {
                printer.line(&line(&entry, paint, is_terminal))?;
            }
        }
        return Ok(printer.flush()?);
    }
    let mut sheet = Sheet::new(&mut printer, &[], RAW);
    while let Some(entries) = page(&queries, &mut request, &mut pager).await? {
        for entry in entries {
            sheet.push(&record(entry))?;
        }
    }
    Ok(sheet.finish()?)
}

/// The next page; none after the last.
async fn page(
    queries: &Queries,
    request: &mut DiffRequest,
    pager: &mut Pager,
) -> Result<Option<Vec<DiffEntry>>, Failure> {
    let Some((page_size, page_token)) = pager.next() else { return Ok(None) };
    request.page_size = page_size;
    request.page_token = page_token;
    let page =
        queries.ask(request.clone(), async |mut client, query| client.diff(query).await).await?;
    pager.got(page.entries.len(), page.next_page_token);
    Ok(Some(page.entries))
}

fn record(entry: DiffEntry) -> Record {
    let kind = match entry.kind() {
        DiffKind::Added => "added",
        DiffKind::Changed => "changed",
        DiffKind::Removed => "removed",
        DiffKind::Unspecified => "unknown",
    };
    Record::new()
        .with("kind", kind)
        .with("namespace", entry.namespace)
        .with("name", entry.name)
        .maybe("from", entry.from.map(records::config))
        .maybe("to", entry.to.map(records::config))
}

fn line(entry: &DiffEntry, paint: Paint, is_terminal: bool) -> String {
    let name = format!("{}/{}", entry.namespace, entry.name);
    let from = entry.from.as_ref().map(|config| config.value.as_str()).unwrap_or_default();
    let to = entry.to.as_ref().map(|config| config.value.as_str()).unwrap_or_default();
    difference(entry.kind(), &name, from, to, paint, is_terminal)
}

/// One difference as people read it.
pub fn difference(
    kind: DiffKind,
    name: &str,
    from: &str,
    to: &str,
    paint: Paint,
    is_terminal: bool,
) -> String {
    let shown = |value: &str| {
        let printable = printable(value);
        if is_terminal {
            cut(&printable, MAX_VALUE_CHARS).into_owned()
        } else {
            printable.into_owned()
        }
    };
    let name = printable(name);
    match kind {
        DiffKind::Added => paint.added(&format!("+ {name} = {}", shown(to))),
        DiffKind::Removed => paint.removed(&format!("- {name} = {}", shown(from))),
        DiffKind::Changed => paint.changed(&format!("~ {name} = {} -> {}", shown(from), shown(to))),
        DiffKind::Unspecified => format!("? {name}"),
    }
}
