//! Records in files: rotation, and what a crash leaves.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Worker, assert_whole, parsed, positions};
use crate::support::stored::written;

const LIMIT_BYTES: u64 = 1_200;

/// The files of a worker, oldest first.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_ours = |path: &PathBuf| path.to_str().unwrap().contains("audit.jsonl.");
    let mut files: Vec<_> = entries.filter(is_ours).collect();
    files.sort();
    files.push(directory.join("audit.jsonl"));
    files
}

#[test]
fn rotation_keeps_every_record_and_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let limit = LIMIT_BYTES.to_string();
    worker.to_file(&["--once", "--rotate-bytes", &limit]).ends().succeeded();
    let files = files(directory.path());
    assert!(files.len() >= 3, "{files:?}");
    let mut all = String::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        assert!((1..=LIMIT_BYTES).contains(&(text.len() as u64)), "{}", file.display());
        all.push_str(&text);
    }
    assert_eq!(assert_whole(&parsed(&all), &store), 0);
}

#[test]
fn only_as_many_old_files_are_kept_as_was_said() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    // Each record is larger than this, and so gets a file of its own.
    worker.to_file(&["--once", "--rotate-bytes", "100", "--keep", "2"]).ends().succeeded();
    let kept: Vec<_> = files(directory.path())
        .iter()
        .flat_map(|file| positions(&parsed(&fs::read_to_string(file).unwrap())))
        .collect();
    assert_eq!(kept, [5, 6, 7]);
}

#[test]
fn half_a_line_that_a_crash_left_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let long = "x".repeat(200_000);
    fs::write(worker.path("audit.jsonl"), format!("{{\"position\":0}}\n{{\"half\":\"{long}"))
        .unwrap();
    worker.to_file(&["--once"]).ends().succeeded();
    let records = worker.records();
    assert_eq!(positions(&records), (0..=7).collect::<Vec<_>>());
    assert_whole(&records[1..], &store);
}

#[test]
fn a_file_that_cannot_be_written_ends_the_worker_before_its_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let ended = worker.configapi(&["--file", "/dev/full"]).ends();
    assert_eq!(ended.code, 1, "{ended:#?}");
    assert!(ended.stderr.contains("/dev/full"), "{ended:#?}");
    assert!(!directory.path().join("checkpoint").exists());
}
