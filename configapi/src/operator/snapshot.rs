//! `configapi snapshot inspect`: what a snapshot of a query server holds, and whether it is whole.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use configapi_query_service::snapshot::{SnapshotInfo, inspect, is_named_as_one};

use super::store::written;
use crate::arguments::OutputArguments;
use crate::failure::Failure;
use crate::output::{Printer, Record, Sheet};

const COLUMNS: &[&str] =
    &["file", "bytes", "log_id", "epoch", "position", "recorded_at", "configs", "events"];

/// Look at the snapshots of a query server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi snapshot inspect /var/lib/configapi/snapshots
  configapi snapshot inspect snapshots/* --output json")]
pub struct SnapshotArguments {
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Debug, Subcommand)]
enum SnapshotCommand {
    Inspect(InspectArguments),
}

/// Check every byte of snapshots, and tell what they hold
///
/// Exits with 1 if one of them is not whole, or a directory holds none; a query server passes over such
/// a file and replays the log instead, so it can be deleted at any time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  configapi snapshot inspect /var/lib/configapi/snapshots
  configapi snapshot inspect snapshots/* --output json")]
struct InspectArguments {
    /// Snapshots, or directories of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    output: OutputArguments,
}

pub fn run(arguments: SnapshotArguments) -> Result<(), Failure> {
    let SnapshotCommand::Inspect(InspectArguments { paths, output }) = arguments.command;
    let mut printer = Printer::new(output.format());
    let mut sheet = Sheet::new(&mut printer, COLUMNS, COLUMNS);
    let Found { files, mut bad } = look_for(paths)?;
    let mut outcome = Ok(());
    for path in files {
        match inspect(&path) {
            Ok(info) => outcome = outcome.and_then(|()| sheet.push(&record(&info))),
            Err(error) => bad.push(format!("{}: {error}", path.display())),
        }
    }
    let outcome = outcome.and_then(|()| sheet.finish());
    // That the output cannot be taken hides none of them.
    let mut bad = bad.into_iter();
    match bad.next() {
        None => Ok(outcome?),
        Some(first) => Err(bad.fold(Failure::refused(first), Failure::with_hint)),
    }
}

/// What is to be looked at.
struct Found {
    /// All files, and all snapshots of directories in the order of their names. What else lies there, such
    /// as one that is being written, is not meant.
    files: Vec<PathBuf>,
    /// Of the directories that hold none, that they do.
    bad: Vec<String>,
}

fn look_for(paths: Vec<PathBuf>) -> Result<Found, Failure> {
    let (mut files, mut bad) = (Vec::new(), Vec::new());
    for path in paths {
        if !path.is_dir() {
            files.push(path);
            continue;
        }
        let cannot = |error| Failure::io(&format!("cannot read {}", path.display()), &error);
        let mut inside = Vec::new();
        for entry in fs::read_dir(&path).map_err(cannot)? {
            let file = entry.map_err(cannot)?.path();
            if is_named_as_one(&file) {
                inside.push(file);
            }
        }
        if inside.is_empty() {
            bad.push(format!("{}: no snapshot is in it", path.display()));
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(Found { files, bad })
}

fn record(info: &SnapshotInfo) -> Record {
    Record::new()
        .with("file", info.path.display().to_string())
        .with("bytes", info.bytes)
        .with("form", u64::from(info.form))
        .with("log_id", info.log_id.to_string())
        .with("epoch", info.epoch.0)
        .with("position", info.position.0)
        .with("hash", info.hash.to_string())
        .maybe("recorded_at", written(info.recorded_at))
        .with("configs", info.configs)
        .with("events", info.events)
}
