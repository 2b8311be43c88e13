//! `configapi export`: a whole namespace, or all with a prefix, as a file.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use configapi_proto::v1::ListRequest;
use indicatif::{ProgressBar, ProgressStyle};

use crate::arguments::{FreshnessArguments, Moment, NamespaceArguments, Patience, QueryServer};
use crate::client::{Queries, list_pages};
use crate::failure::Failure;
use crate::output::file::WholeFile;
use crate::output::terminal::say;
use crate::transfer::{Entry, EntryWriter, FileForm};

/// Bytes that wait to be written together.
const BUFFER_BYTES: usize = 256 * 1024;

/// Write the configs of a namespace to a file
///
/// In order of their names, all at one moment, one page in memory at a time. A file is replaced
/// when it is complete, never half; what is no regular file, such as a pipe with a name, is written
/// into. .env and properties have no place for content types, and shells take letters, digits and _ only
/// as names of .env.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi export > configs.json
  configapi export --file billing.yaml --prefix billing/
  configapi export --form env --at 2024-01-15 > .env
  configapi export --namespace staging | configapi import --namespace live --dry-run -")]
pub struct ExportArguments {
    /// Only configs whose names begin with this
    #[arg(short, long, default_value = "", hide_default_value = true)]
    prefix: String,

    /// Write to this file; its ending tells the form [default: stdout]
    #[arg(short, long, value_name = "PATH")]
    file: Option<PathBuf>,

    /// The form of the file [default: by its name, else json]
    #[arg(short = 'F', long)]
    form: Option<FileForm>,

    /// Export as of this moment: a time, a day, a time ago (15m, 7d), a position or a token
    #[arg(long, value_name = "MOMENT")]
    at: Option<Moment>,

    #[command(flatten)]
    namespace: NamespaceArguments,

    #[command(flatten)]
    freshness: FreshnessArguments,

    #[command(flatten)]
    server: QueryServer,

    #[command(flatten)]
    patience: Patience,
}

pub async fn run(arguments: ExportArguments) -> Result<(), Failure> {
    let ExportArguments { prefix, file, form, at, namespace, freshness, server, patience } =
        arguments;
    let queries = Queries::new(&server, patience);
    let request = ListRequest {
        namespace: namespace.namespace,
        prefix,
        at: at.map(Into::into),
        consistency: freshness.consistency(),
        ..ListRequest::default()
    };
    let Some(path) = file else {
        let form = form.unwrap_or(FileForm::Json);
        return write(&queries, request, form, io::stdout().lock(), "stdout").await.map(drop);
    };
    let place = path.display().to_string();
    let cannot = |error| Failure::not_whole("export", &place, &error);
    let form = form.or_else(|| FileForm::of(&path)).unwrap_or(FileForm::Json);
    let out = WholeFile::open(&path, ".configapi-export-").map_err(cannot)?;
    out.fill(async |out| {
        write(&queries, request, form, out, &place).await?.complete().map_err(cannot)
    })
    .await
}

/// Writes it all, and hands on what lies in buffers.
async fn write<W: Write>(
    queries: &Queries,
    request: ListRequest,
    form: FileForm,
    out: W,
    place: &str,
) -> Result<W, Failure> {
    let cannot = |error| Failure::not_whole("export", place, &error);
    let progress = ProgressBar::new_spinner().with_style(style());
    let (mut without_content_type, mut no_variables) = (0_u64, 0_u64);
    let out = BufWriter::with_capacity(BUFFER_BYTES, out);
    let mut writer = EntryWriter::new(form, out);
    list_pages(queries, request, None, |configs| {
        for config in configs {
            if !form.has_content_types() && !config.content_type.is_empty() {
                without_content_type += 1;
            }
            if !form.takes_name(&config.name) {
                no_variables += 1;
            }
            let content_type = config.content_type;
            let entry = Entry { name: config.name, value: config.value, content_type };
            writer.write(&entry).map_err(cannot)?;
        }
        progress.set_position(writer.entries());
        Ok(())
    })
    .await?;
    progress.finish_and_clear();
    if without_content_type > 0 {
        say(&format!(
            "left out the content types of {without_content_type} configs: this form has no place for them"
        ));
    }
    if no_variables > 0 {
        say(&format!(
            "{no_variables} of the names are none of variables: `configapi import` takes them, and no shell does"
        ));
    }
    let out = writer.finish().map_err(cannot)?;
    out.into_inner().map_err(|error| cannot(error.into_error()))
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {human_pos} configs written ({per_sec})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
