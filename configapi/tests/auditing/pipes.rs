//! Records into a pipe with a name: what nobody reads is not taken for written.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Command;

use super::{Worker, parsed, positions};
use crate::support::Serving;
use crate::support::stored::written;

fn pipe(worker: &Worker) -> String {
    let pipe = worker.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

fn has_checkpoint(directory: &Path) -> bool {
    directory.join("checkpoint").exists()
}

#[test]
fn records_wait_for_whoever_reads_the_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let worker = Worker::new(&written(directory.path()), directory.path());
    let pipe = pipe(&worker);
    let running = worker.configapi(&["--once", "--file", &pipe]).starts();
    running.says("nobody reads from the pipe yet");
    assert!(!has_checkpoint(directory.path()));
    let mut read = String::new();
    File::open(&pipe).unwrap().read_to_string(&mut read).unwrap();
    running.ends().succeeded();
    assert_eq!(positions(&parsed(&read)), (1..=7).collect::<Vec<_>>());
    assert_eq!(worker.checkpoint()["position"], 7);
}

#[test]
fn a_worker_that_waits_for_the_reader_of_its_pipe_can_be_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let worker = Worker::new(&written(directory.path()), directory.path());
    let pipe = pipe(&worker);
    for (more, code) in [(None, 0), (Some("--once"), 3)] {
        let arguments: Vec<_> = ["--file", &pipe].into_iter().chain(more).collect();
        let running = worker.configapi(&arguments).starts();
        running.says("nobody reads from the pipe yet");
        running.signal("TERM");
        running.ends().failed_with(code);
        assert!(!has_checkpoint(directory.path()));
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_worker_before_its_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let pipe = pipe(&worker);
    let mut running = worker.configapi(&["--file", &pipe]).starts();
    let reader = BufReader::new(File::open(&pipe).unwrap());
    assert_eq!(reader.lines().take(7).count(), 7);
    Serving::start(&store).configapi(["set", "e", "1"]).ends().succeeded();
    let is_written = || has_checkpoint(directory.path()) && worker.checkpoint()["position"] == 8;
    while running.child.try_wait().unwrap().is_none() {
        assert!(!is_written(), "nobody has read it");
    }
    let ended = running.ends().failed_with(3);
    assert!(ended.stderr.contains("whoever read the records has gone"), "{ended:#?}");
    assert!(!is_written());
}

#[test]
fn a_reader_that_stands_still_does_not_keep_a_worker_from_ending() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    // More than a pipe holds.
    let large = "x".repeat(500_000);
    Serving::start(&store).configapi(["set", "large", "-"]).stdin(large).ends().succeeded();
    let worker = Worker::new(&store, directory.path());
    let pipe = pipe(&worker);
    let running = worker.configapi(&["--include-values", "--file", &pipe]).starts();
    let mut reader = File::open(&pipe).unwrap();
    reader.read_exact(&mut [0]).unwrap();
    running.signal("TERM");
    running.says("shutting down");
    running.signal("TERM");
    running.ends().failed_with(3);
    assert!(!has_checkpoint(directory.path()));
}
