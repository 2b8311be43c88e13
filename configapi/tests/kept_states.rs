//! The snapshots of a query server, as an operator meets them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::auditing::metrics;
use crate::epochs::{copy_of, keeps};
use crate::support::stored::written;
use crate::support::{Serving, configapi};

/// How often a server has found that its log lacks what a snapshot holds.
fn refusals(serving: &Serving) -> u64 {
    const SERIES: &str = "configapi_query_tailer_errors_total{kind=\"anchor_gone\"} ";
    let (_, page) = metrics::get(serving.gateway.strip_prefix("http://").unwrap(), "/metrics");
    page.lines().find_map(|line| line.strip_prefix(SERIES)).unwrap().parse().unwrap()
}

/// What a log says of snapshots, line by line.
fn told_of_snapshots(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains(".cfgsnap"));
    lines
        .map(|line| {
            let mut said: Value = serde_json::from_str(line).unwrap();
            said.as_object_mut().unwrap().remove("timestamp");
            said.to_string()
        })
        .collect()
}

/// Writes two events that no copy has, with a snapshot after each.
fn write_what_is_lost(store: &str, snapshots: &Path) {
    let serving = Serving::start_with(store, &keeps(snapshots));
    let inspect = ["snapshot", "inspect", snapshots.to_str().unwrap(), "-o", "raw"];
    for position in ["\t8\t", "\t9\t"] {
        serving.configapi(["set", "late", "lost"]).ends().succeeded();
        while !configapi(inspect).ends().stdout.contains(position) {}
    }
}

/// It is blocked by one that is whole, and looks at all of them each time that it tries again.
#[test]
fn what_is_wrong_with_a_snapshot_is_told_once_however_often_a_start_is_tried() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let copy = copy_of(&store, directory.path());
    let snapshots = directory.path().join("snapshots");
    write_what_is_lost(&store, &snapshots);
    let named = |name: &str| snapshots.join(format!("snapshot-{name}.cfgsnap"));
    let newest = named("000001-00000000000000000009");
    let mut bytes = fs::read(&newest).unwrap();
    let place = bytes.len() * 5 / 8;
    bytes[place] ^= 1;
    fs::write(&newest, bytes).unwrap();
    fs::write(named("half"), "half of a snapshot").unwrap();

    let serving = Serving::start_on(&copy, &keeps(&snapshots), &[]);
    while refusals(&serving) < 3 {}
    fs::write(named("later"), "half of another one").unwrap();
    let before = refusals(&serving);
    while refusals(&serving) < before + 2 {}
    let told = told_of_snapshots(&serving.ends_with_log());
    for path in [&newest, &named("half"), &named("later")] {
        let path = path.to_str().unwrap();
        assert!(told.iter().any(|line| line.contains(path)), "{path}: {told:#?}");
    }
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len(), "{told:#?}");
}

#[test]
fn a_directory_without_a_snapshot_is_said_to_have_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    fs::write(directory.path().join("unfinished.tmp"), "half of a snapshot").unwrap();
    for (form, printed) in [("json", "[]\n"), ("raw", "")] {
        let ended = configapi(["snapshot", "inspect", path, "-o", form]).ends().failed_with(1);
        assert!(ended.stderr.contains(&format!("{path}: no snapshot is in it")), "{ended:#?}");
        assert_eq!(ended.stdout, printed);
    }
}
