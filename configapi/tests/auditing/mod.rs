//! The audit worker: every event of the log becomes a record, in order, whatever happens to the
//! worker, to the log or to those who take the records.

mod endpoint;
mod files;
mod losses;
pub mod metrics;
mod pipes;
mod refusals;
mod restarts;
mod restored;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::stored::rows;
use crate::support::{Configapi, configapi};

/// A worker's own directory: its checkpoint and its file.
struct Worker {
    store: String,
    directory: PathBuf,
}

impl Worker {
    fn new(store: &str, directory: &Path) -> Self {
        Self { store: store.to_owned(), directory: directory.to_owned() }
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).to_str().unwrap().to_owned()
    }

    /// The worker, not started yet, with its records on stdout unless more is said.
    fn configapi(&self, more: &[&str]) -> Configapi {
        let checkpoint = self.path("checkpoint");
        let arguments = ["audit", "--store", &self.store, "--checkpoint", &checkpoint];
        configapi(arguments.into_iter().chain(more.iter().copied()))
    }

    /// The worker with its records in its file.
    fn to_file(&self, more: &[&str]) -> Configapi {
        self.configapi(more).arg("--file").arg(&self.path("audit.jsonl"))
    }

    /// What is in its file, as records.
    fn records(&self) -> Vec<Value> {
        parsed(&fs::read_to_string(self.path("audit.jsonl")).unwrap_or_default())
    }

    fn checkpoint(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path("checkpoint")).unwrap()).unwrap()
    }
}

/// Whole lines as records; what a line is cut off from is none yet.
fn parsed(text: &str) -> Vec<Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn positions(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["position"].as_u64().unwrap()).collect()
}

/// Fails the test unless these are the events of the log, all of them, in order. Answers how often
/// they begin again with one that was there before.
#[track_caller]
fn assert_whole(records: &[Value], store: &str) -> usize {
    let rows = rows(store);
    let mut repeats = 0;
    let mut last = 0;
    for record in records {
        let position = record["position"].as_u64().unwrap();
        assert!(position <= last + 1, "position {} was skipped", last + 1);
        repeats += usize::from(position <= last);
        last = position;
        let row = &rows[usize::try_from(position).unwrap() - 1];
        let stream = format!(
            "{}/{}",
            record["namespace"].as_str().unwrap(),
            record["name"].as_str().unwrap()
        );
        assert_eq!(row["stream"], stream);
        assert_eq!(row["version"], record["version"]);
        assert_eq!(row["hash"], record["hash"]);
        assert_eq!(row["event_type"], record["kind"]);
    }
    assert_eq!(last, rows.len() as u64, "the end of the log is missing");
    repeats
}
