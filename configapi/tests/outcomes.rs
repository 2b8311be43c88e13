//! What an operator's command says of what it did: also where its output cannot be taken, and where it
//! is asked for once more.

use crate::support::stored::written;
use crate::support::{Serving, configapi};

#[test]
fn a_damaged_snapshot_shows_in_the_exit_code_though_nobody_reads_of_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let snapshots = directory.path().join("snapshots");
    let path = snapshots.to_str().unwrap();
    let keeps = ["--snapshot-dir", path, "--snapshot-events", "1", "--snapshot-interval", "100ms"];
    let serving = Serving::start_with(&store, &keeps);
    serving.configapi(["set", "e", "1"]).ends().succeeded();
    let inspect = || configapi(["snapshot", "inspect", path, "-o", "raw"]);
    while !inspect().ends().stdout.contains("\t8\t") {}
    drop(serving);
    inspect().nobody_reads_stdout().ends().succeeded();
    let found = inspect().ends().succeeded().stdout;
    let newest = found.lines().find(|line| line.contains("\t8\t")).unwrap();
    let newest = newest.split('\t').next().unwrap();
    // Half of it, under the name of an older one: there is a whole one beside it.
    let bytes = std::fs::read(newest).unwrap();
    let name = std::path::Path::new(newest).file_name().unwrap().to_str().unwrap();
    let damaged = snapshots.join(name.replace('8', "9"));
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let ended = inspect().nobody_reads_stdout().ends().failed_with(1);
    assert!(ended.stderr.contains(damaged.to_str().unwrap()), "{ended:#?}");
}
