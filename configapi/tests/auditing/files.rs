//! Records in files: rotation, and what a crash leaves.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Worker, assert_whole, parsed, positions};
use crate::support::stored::written;
use crate::support::{Running, Serving, configapi};

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
        // Values may be in it, and are nobody else's.
        #[cfg(unix)]
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
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

/// The renamed files but the newest are deleted as soon as there is one more, which is just when the worker
/// is about to delete them.
#[test]
fn renamed_files_that_somebody_else_deletes_do_not_end_a_worker() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", directory.path().join("many.db").display());
    let set = |file: String, n| file + &format!("- {{set: n{n}, value: x}}\n");
    let file = (0..100).fold(String::new(), set);
    Serving::start(&store).configapi(["apply", "-"]).stdin(file).ends().succeeded();
    let worker = Worker::new(&store, directory.path());
    let mut running = worker.to_file(&["--once", "--rotate-bytes", "100", "--keep", "1"]).starts();
    while running.child.try_wait().unwrap().is_none() {
        let mut renamed = files(directory.path());
        renamed.truncate(renamed.len().saturating_sub(2));
        for file in renamed {
            let _ = fs::remove_file(file);
        }
    }
    running.ends().succeeded();
    assert_eq!(positions(&worker.records()), [100]);
}

/// Often they lead to a larger disk, or to the one that outlives a container.
#[test]
#[cfg(unix)]
fn links_stay_and_what_they_name_is_rotated_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let below = directory.path().join("below");
    fs::create_dir(&below).unwrap();
    let links = ["audit.jsonl", "checkpoint"].map(|name| {
        let link = directory.path().join(name);
        std::os::unix::fs::symlink(Path::new("below").join(name), &link).unwrap();
        link
    });
    for _ in 0..2 {
        worker.to_file(&["--once", "--rotate-bytes", "100", "--keep", "2"]).ends().succeeded();
        assert!(links.iter().all(|link| link.is_symlink()), "{links:?}");
        let kept = files(&below);
        let kept = kept.iter().flat_map(|file| parsed(&fs::read_to_string(file).unwrap()));
        assert_eq!(positions(&kept.collect::<Vec<_>>()), [5, 6, 7]);
        assert_eq!(worker.checkpoint()["position"], 7);
        assert_eq!(files(directory.path()).len(), 1, "something was renamed beside the link");
    }
    let of_checkpoint = |name: &str| fs::exists(below.join(name)).unwrap();
    assert!(of_checkpoint("checkpoint") && of_checkpoint("checkpoint.lock"));
}

#[test]
fn a_file_with_a_day_for_its_number_is_neither_counted_nor_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let foreign = ["audit.jsonl.20240115", "audit.jsonl.0000001", "audit.jsonl.1705276800"];
    for name in foreign {
        fs::write(worker.path(name), name).unwrap();
    }
    worker.to_file(&["--once", "--rotate-bytes", "100", "--keep", "1"]).ends().succeeded();
    for name in foreign {
        assert_eq!(fs::read_to_string(worker.path(name)).unwrap(), name);
    }
    assert!(fs::exists(worker.path("audit.jsonl.000006")).unwrap());
    assert!(!fs::exists(worker.path("audit.jsonl.000005")).unwrap());
}

/// There is nothing in it to be synced, which it refuses, and nothing to be renamed, however much it took.
#[test]
fn records_go_into_a_pipe_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let pipe = worker.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = Command::new("cat").arg(&pipe).stdout(Stdio::piped()).spawn().unwrap();
    worker.configapi(&["--once", "--file", &pipe, "--rotate-bytes", "100"]).ends().succeeded();
    let read = String::from_utf8(reader.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(positions(&parsed(&read)), (1..=7).collect::<Vec<_>>());
    assert_eq!(worker.checkpoint()["position"], 7);
    assert!(!fs::metadata(&pipe).unwrap().is_file());
}

#[test]
fn half_a_line_that_a_crash_left_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let long = "x".repeat(200_000);
    fs::write(worker.path("audit.jsonl"), format!("{{\"position\":0}}\n{{\"audit\":\"{long}"))
        .unwrap();
    worker.to_file(&["--once"]).ends().succeeded();
    let records = worker.records();
    assert_eq!(positions(&records), (0..=7).collect::<Vec<_>>());
    assert_whole(&records[1..], &store);
}

#[test]
fn a_file_that_is_none_of_records_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let file = worker.path("audit.jsonl");
    for text in ["all that it holds", "{\"port\": 1}", "one line\nand half of another", "{\"audi!"]
    {
        fs::write(&file, text).unwrap();
        let ended = worker.to_file(&["--once"]).ends().failed_with(1);
        assert!(ended.stderr.contains("is no audit record"), "{ended:#?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    // What a crash leaves may be shorter than what every record begins with.
    fs::write(&file, "{\"audi").unwrap();
    worker.to_file(&["--once"]).ends().succeeded();
    assert_eq!(positions(&worker.records()), (1..=7).collect::<Vec<_>>());
}

/// Waits until all is written up to a position, and the checkpoint says so.
fn wait_for(worker: &Worker, position: u64, running: &mut Running) {
    let part = format!("\"position\":{position},");
    let began = Instant::now();
    while !fs::read_to_string(worker.path("checkpoint")).unwrap_or_default().contains(&part) {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not get to {position}");
        assert!(running.child.try_wait().unwrap().is_none(), "the worker has ended");
        // The processor is the worker's until then.
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_file_that_is_renamed_or_deleted_under_a_worker_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let serving = Serving::start(&store);
    let worker = Worker::new(&store, directory.path());
    let mut running = worker.to_file(&[]).starts();
    wait_for(&worker, 7, &mut running);
    fs::rename(worker.path("audit.jsonl"), worker.path("yesterday.jsonl")).unwrap();
    let before = fs::read_to_string(worker.path("yesterday.jsonl")).unwrap();
    serving.configapi(["set", "late", "1"]).ends().succeeded();
    wait_for(&worker, 8, &mut running);
    assert_eq!(positions(&worker.records()), [8]);
    fs::remove_file(worker.path("audit.jsonl")).unwrap();
    serving.configapi(["set", "later", "1"]).ends().succeeded();
    wait_for(&worker, 9, &mut running);
    assert_eq!(positions(&worker.records()), [9]);
    running.signal("TERM");
    running.ends().succeeded();
    assert_eq!(fs::read_to_string(worker.path("yesterday.jsonl")).unwrap(), before);
    assert_eq!(worker.checkpoint()["position"], 9);
}

#[test]
fn one_file_serves_one_worker_also_after_it_was_rotated() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let worker = Worker::new(&store, directory.path());
    let mut running = worker.to_file(&["--rotate-bytes", "100"]).starts();
    wait_for(&worker, 7, &mut running);
    let written = fs::read_to_string(worker.path("audit.jsonl")).unwrap();
    let (checkpoint, file) = (worker.path("another"), worker.path("audit.jsonl"));
    let second = ["audit", "--store", &store, "--checkpoint", &checkpoint, "--file", &file];
    let ended = configapi(second).arg("--once").ends().failed_with(1);
    assert!(ended.stderr.contains("another worker writes"), "{ended:#?}");
    assert!(ended.stderr.contains("give each its own"), "{ended:#?}");
    assert_eq!(fs::read_to_string(worker.path("audit.jsonl")).unwrap(), written);
    running.signal("KILL");
    running.ends();
    configapi(second).arg("--once").ends().succeeded();
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
