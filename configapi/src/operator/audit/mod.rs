//! `configapi audit`: follows the log and writes one audit record for every event, to stdout, a file
//! or an HTTP endpoint. At least once, in order, none skipped; where it stands is a file that only
//! ever says what is durable elsewhere already.

mod board;
mod checkpoint;
mod destination;
mod earlier;
mod follow;
mod place;
mod record;
mod sink;
mod trouble;

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::BoolishValueParser;
use configapi_runtime::http::admin::AdminSettings;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use configapi_runtime::telemetry::{self, LogSettings};
use configapi_store::{Access, open_patiently};
use tokio::time::sleep;

use self::board::Board;
use self::checkpoint::CheckpointFile;
use self::destination::Destination;
use self::follow::{Ended, Follower};
use super::store::{StoreArguments, now};
use crate::failure::Failure;
use crate::output::file::is_one_place;

const SERVICE: &str = "configapi-audit";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Write an audit record of every event, wherever they are kept
///
/// Follows the log from the checkpoint on, checks the chain on the way, and writes one line of JSON
/// for each event: who changed what, when, why, and how long the old and the new value are. Each is
/// written at least once, in order, and none is skipped; after a crash the last few may come again,
/// with the same token. Stops with 1 if the log is not the one that it was, or was edited.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi audit --checkpoint audit.checkpoint
  configapi audit --checkpoint audit.checkpoint --file audit.jsonl --rotate-bytes 256MiB
  configapi audit --checkpoint audit.checkpoint --post https://siem.example/configapi
  configapi audit --checkpoint audit.checkpoint --file audit.jsonl --once")]
pub struct AuditArguments {
    /// Where it is kept what was written already; made at the first start, which begins with the
    /// first event of the log
    #[arg(long, env = "CONFIGAPI_AUDIT_CHECKPOINT", value_name = "PATH")]
    checkpoint: PathBuf,

    #[command(flatten)]
    destination: Destination,

    /// Write the values too, not only their lengths
    #[arg(long, env = "CONFIGAPI_AUDIT_INCLUDE_VALUES", value_parser = BoolishValueParser::new())]
    include_values: bool,

    /// End once everything is written that was in the log at the start
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    admin: AdminSettings,

    #[command(flatten)]
    log: LogSettings,
}

pub async fn run(arguments: AuditArguments) -> Result<(), Failure> {
    arguments.store.must_last()?;
    let checkpoint = checkpoint::place_of(&arguments.checkpoint);
    let of_checkpoint = checkpoint::files_of(&checkpoint);
    for target in arguments.destination.file().into_iter().chain(of_checkpoint.iter().map(|f| &**f))
    {
        arguments.store.must_not_be_kept_in(target)?;
    }
    if let Some(file) = arguments.destination.file() {
        for other in &of_checkpoint {
            must_differ(file, other, &checkpoint)?;
        }
    }
    telemetry::init(&arguments.log, SERVICE, VERSION)
        .map_err(|error| Failure::usage(telemetry::chain(&error).to_string()))?;
    let life = Lifecycle::default();
    life.watch_signals().map_err(|error| Failure::io("cannot wait for signals", &error))?;
    let checkpoint = CheckpointFile::open(&checkpoint)?;
    let metrics = Metrics::new(SERVICE, VERSION);
    let board = Board::register(&metrics);
    arguments
        .admin
        .start(&metrics, &life)
        .await
        .map_err(|error| Failure::usage(error.to_string()))?
        .ready_as(board.readiness());
    let sink = arguments.destination.sink(arguments.once, &board)?;
    let store = arguments.store.clone();
    let log = if arguments.once {
        let opening = store.open_for_reading();
        life.soft().run_until_cancelled(opening).await.unwrap_or_else(|| Err(ended_early()))?
    } else {
        let opening = open_patiently(&store.store, Access::Read, now);
        match life.soft().run_until_cancelled(opening).await {
            Some(opened) => opened.map_err(|error| store.failure(&error))?,
            None => return Ok(()),
        }
    };
    let follower = Follower::new(log, store, checkpoint, sink, arguments.include_values, board);
    let following = follower.run(life.soft(), arguments.once);
    tokio::select! {
        ended = following => tell(&ended?),
        () = cut_off(&life) => {
            Err(Failure::try_again("it was cut off; the last records may come again"))
        }
    }
}

/// The records would be written over by the next checkpoint.
fn must_differ(file: &Path, other: &Path, checkpoint: &Path) -> Result<(), Failure> {
    if !is_one_place(file, other) {
        return Ok(());
    }
    let message = if other == checkpoint {
        format!("--file and --checkpoint are both {}", file.display())
    } else {
        format!("--file is {}, which is written beside --checkpoint", file.display())
    };
    Err(Failure::usage(message).with_hint("nothing was written; give each a file of its own"))
}

/// Waits until there is no more time: a second signal, or the limit after the first.
async fn cut_off(life: &Lifecycle) {
    life.soft().cancelled().await;
    let limit = sleep(life.drain_limit());
    life.hard().run_until_cancelled(limit).await;
}

fn tell(ended: &Ended) -> Result<(), Failure> {
    let Ended { position, records, has_checkpoint, is_complete } = *ended;
    let position = position.0;
    if has_checkpoint {
        tracing::info!(position, records, "ended; the checkpoint is written");
    } else {
        tracing::info!(records, "ended; there is no checkpoint yet");
    }
    if is_complete { Ok(()) } else { Err(ended_early()) }
}

fn ended_early() -> Failure {
    Failure::try_again("it was told to end before everything was written that was in the log")
        .with_hint("run it again: it goes on where it ended")
}
