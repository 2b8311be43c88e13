//! Imports that are too large to be one change: streamed, interrupted, repeated.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use crate::support::{Limit, Servers};

fn file(configs: usize, value: &str) -> String {
    let mut file = String::from("{\n");
    for n in 0..configs {
        let comma = if n == 0 { "" } else { ",\n" };
        write!(file, "{comma}  \"n{n:06}\": \"{value}{n}\"").unwrap();
    }
    file + "\n}\n"
}

fn events(servers: &Servers) -> u64 {
    let status = servers.read(["status", "-o", "json"]).json();
    status["versions"].as_u64().unwrap()
}

fn export(servers: &Servers) -> String {
    servers.configapi(["export", "--linearizable"]).ends().succeeded().stdout
}

#[test]
fn a_refusal_shows_in_the_exit_code_though_nobody_reads_the_report() {
    let servers = Servers::start();
    servers.set("n000000", "1");
    servers.configapi(["delete", "n000000"]).ends().succeeded();
    let import = servers.configapi(["import", "-", "-o", "json"]).stdin(file(1_100, "v"));
    let ended = import.nobody_reads_stdout().ends().failed_with(1);
    assert!(ended.stderr.contains("refused: n000000"), "{ended:#?}");
}

#[test]
fn a_large_file_is_imported_and_exported_byte_for_byte() {
    let servers = Servers::start();
    let file = file(5_000, "v");
    let import =
        || servers.configapi(["import", "-", "-o", "json"]).stdin(file.clone()).ends().succeeded();
    let report = import().json();
    assert_eq!((&report["added"], &report["written"]), (&5_000.into(), &5_000.into()));
    assert_eq!(report["as_one_change"], false);
    let token = report["token"].as_str().unwrap();
    let exported = servers.configapi(["export", "--token", token]).ends().succeeded().stdout;
    assert_eq!(exported, file);
    assert_eq!(import().json()["unchanged"], 5_000);
    assert_eq!(events(&servers), 5_000);
}

/// Up to 1,000 changes and 8 MiB of values are one change.
#[test]
fn what_is_one_change_is_so_to_the_last_change_and_the_last_byte() {
    let servers = Servers::start();
    let as_one = |file: String, changes: u64| {
        let import = servers.configapi(["import", "-", "--show", "0", "-o", "json"]);
        let report = import.stdin(file).ends().succeeded().json();
        assert_eq!((&report["written"], &report["refused"]), (&changes.into(), &0.into()));
        report["as_one_change"].as_bool().unwrap()
    };
    assert!(as_one(file(1_000, "v"), 1_000));
    assert!(!as_one(file(1_001, "w"), 1_001));
    // Nine values, of which the last fills it up.
    let of_bytes = |bytes: usize| {
        let sizes = (0..9).map(|n| if n < 8 { 1_000_000 } else { bytes - 8_000_000 });
        let value = |(n, size): (usize, usize)| format!("\"b{n}\": \"{}\"", "v".repeat(size));
        format!("{{{}}}", sizes.enumerate().map(value).collect::<Vec<_>>().join(","))
    };
    assert!(as_one(of_bytes(8 << 20), 9));
    assert!(!as_one(of_bytes((8 << 20) + 1).replace("v\"", "w\""), 9));
}

#[test]
fn changes_of_which_too_much_is_recorded_for_one_can_be_made_one_by_one() {
    let servers = Servers::start();
    // Each such character takes six bytes in the log.
    let value = "\u{1}".repeat(1_000_000);
    let mut file = String::new();
    for n in 0..6 {
        writeln!(file, "N{n}='{value}'").unwrap();
    }
    let import = |more: &[&str]| {
        let arguments = ["import", "-", "--form", "env", "--show", "0", "-o", "json"];
        let arguments = arguments.iter().chain(more).copied();
        servers.configapi(arguments).stdin(file.clone()).ends()
    };
    let refused = import(&[]).failed_with(1);
    for part in ["commands: the events would weigh", "none of them was made", "--one-by-one"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert_eq!(events(&servers), 0);
    let report = import(&["--one-by-one"]).succeeded().json();
    assert_eq!((&report["written"], &report["as_one_change"]), (&6.into(), &false.into()));
    assert_eq!(events(&servers), 6);
}

#[test]
fn what_was_refused_is_counted_and_named_and_the_rest_is_done() {
    let servers = Servers::start();
    servers.set("n000007", "x");
    servers.configapi(["delete", "n000007"]).ends().succeeded();
    let import = |arguments: &[&str]| {
        let arguments = ["import", "-", "-o", "json"].iter().chain(arguments).copied();
        servers.configapi(arguments).stdin(file(2_000, "v")).ends().failed_with(1)
    };
    let ended = import(&["--dry-run"]);
    assert_eq!(
        (&ended.json()["would_write"], &ended.json()["refused"]),
        (&1_999.into(), &1.into())
    );
    assert_eq!(events(&servers), 2);
    let ended = import(&[]);
    assert_eq!((&ended.json()["written"], &ended.json()["refused"]), (&1_999.into(), &1.into()));
    assert!(ended.stderr.contains("refused: n000007: "), "{ended:#?}");
    assert_eq!(events(&servers), 2_001);
}

#[test]
fn a_connection_that_is_cut_again_and_again_loses_nothing_and_doubles_nothing() {
    let servers = Servers::start();
    let cuts = [40_000, 90_000, 5_000, 70_000, 150_000];
    let proxy = servers.proxy(servers.command, cuts.map(Limit::CutAfter));
    let file = file(5_000, "v");
    let report = servers
        .configapi(["import", "-", "-o", "json"])
        .env("CONFIGAPI_COMMAND_URL", &format!("http://{}", proxy.address))
        .stdin(file.clone())
        .ends()
        .succeeded()
        .json();
    assert_eq!((&report["written"], &report["refused"]), (&5_000.into(), &0.into()), "{report}");
    assert_eq!(export(&servers), file);
    assert_eq!(events(&servers), 5_000);
}

#[test]
fn an_import_that_is_killed_and_started_again_loses_nothing_and_doubles_nothing() {
    let servers = Servers::start();
    let text = file(10_000, "v");
    let path = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    std::fs::write(path.path(), &text).unwrap();
    let path = path.path().to_str().unwrap().to_owned();
    let import = || servers.configapi(["import", &path, "-o", "json"]);
    for bytes in [150_000, 450_000] {
        // It comes so far and no further, so it is killed in the middle however fast it is.
        let proxy = servers.proxy(servers.command, [Limit::StallAfter(bytes)]);
        let url = format!("http://{}", proxy.address);
        let before = events(&servers);
        let mut running = import().env("CONFIGAPI_COMMAND_URL", &url).starts();
        while events(&servers) == before {}
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }
    assert!(events(&servers) < 10_000, "it was not killed in the middle");
    let report: Value = import().ends().succeeded().json();
    assert_eq!(report["refused"], 0, "{report}");
    assert_eq!(export(&servers), text);
    assert_eq!(events(&servers), 10_000);
}

#[test]
fn configs_that_were_imported_before_and_deleted_are_refused_among_many() {
    let servers = Servers::start();
    let text = file(1_500, "v");
    let import = |more: &[&str]| {
        let arguments = ["import", "-", "-o", "json"].iter().chain(more).copied();
        servers.configapi(arguments).stdin(text.clone()).ends()
    };
    import(&[]).succeeded();
    for range in [0..750, 750..1_500] {
        servers.configapi(["apply", "-"]).stdin(deletes(range)).ends().succeeded();
    }
    for more in [&["--dry-run"][..], &[]] {
        let ended = import(more).failed_with(1);
        assert_eq!(ended.json()["refused"], 1_500, "{ended:#?}");
        let refused = "refused: n000000: it was deleted; restore it first (CONFIG_DELETED)";
        assert!(ended.stderr.contains(refused), "{ended:#?}");
        assert_eq!(events(&servers), 3_000);
    }
}

/// A file that deletes configs of such a file.
fn deletes(range: Range<usize>) -> String {
    range.fold(String::new(), |file, n| file + &format!("- delete: n{n:06}\n"))
}

#[test]
fn what_an_import_before_left_on_its_way_counts_as_unchanged() {
    // So many that another run finds more missing than are one change, whatever is on its way then.
    const CONFIGS: u64 = 3_000;
    let servers = Servers::start();
    let text = file(3_000, "v");
    // Another run makes the same changes after this one has compared, and while it cannot go on.
    let proxy = servers.proxy(servers.command, [Limit::StallAfter(60_000)]);
    let stalled = servers
        .configapi(["import", "-", "-o", "json"])
        .env("CONFIGAPI_COMMAND_URL", &format!("http://{}", proxy.address))
        .stdin(text.clone())
        .starts();
    while events(&servers) == 0 {}
    servers.configapi(["import", "-"]).stdin(text).ends().succeeded();
    proxy.cut();
    let report = stalled.ends().succeeded().json();
    let number = |field: &str| report[field].as_u64().unwrap();
    assert_eq!(number("written") + number("unchanged"), CONFIGS, "{report}");
    assert!(number("unchanged") > 0 && number("refused") == 0, "{report}");
    assert_eq!(events(&servers), CONFIGS);
}

#[test]
fn changes_that_were_made_are_told_though_nobody_says_what_hindered_the_others() {
    let servers = Servers::start();
    servers.set("n000007", "x");
    servers.configapi(["delete", "n000007"]).ends().succeeded();
    let limits = std::iter::once(Limit::None).chain(std::iter::repeat_n(Limit::CutAfter(0), 20));
    let (commands, queries) = (
        servers.proxy(servers.command, [Limit::StallAfter(60_000)]),
        servers.proxy(servers.query, limits),
    );
    let import = servers
        .configapi(["import", "-", "--show", "0", "--timeout", "2s"])
        .env("CONFIGAPI_COMMAND_URL", &format!("http://{}", commands.address))
        .env("CONFIGAPI_QUERY_URL", &format!("http://{}", queries.address))
        .stdin(file(1_500, "v"))
        .starts();
    while events(&servers) == 2 {}
    queries.cut();
    commands.cut();
    let ended = import.ends().failed_with(3);
    assert_eq!(events(&servers), 1_501);
    for part in ["1499 changes are known to be made", "run the same import again"] {
        assert!(ended.stderr.contains(part), "{part}: {ended:#?}");
    }
}

/// Changes that go out one by one are read from the file again.
#[test]
fn nothing_is_imported_but_what_was_agreed_to() {
    let servers = Servers::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    std::fs::write(&path, r#"{"a": "shown", "b": "shown"}"#).unwrap();
    let import = ["import", path.to_str().unwrap(), "--one-by-one"];
    let mut import = servers.configapi(import).typed("").starts();
    // What differs is shown before the question.
    import.line();
    std::fs::write(&path, r#"{"a": "other", "b": "other"}"#).unwrap();
    import.types("y\n");
    let ended = import.ends().failed_with(1);
    assert!(ended.stderr.contains("was written into while it was being imported"), "{ended:#?}");
    assert_eq!(events(&servers), 0);
}

/// Writes over the end of a file, in place.
fn write_over_end(path: &Path, text: &str) {
    let mut file = File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::End(-i64::try_from(text.len()).unwrap())).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// What comes into the file once it is being sent was agreed to by nobody either.
#[test]
fn nothing_is_imported_that_came_into_the_file_while_it_was_sent() {
    let servers = Servers::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    // More than is read ahead of what the server has taken.
    std::fs::write(&path, file(20_000, &"v".repeat(100))).unwrap();
    let proxy = servers.proxy(servers.command, [Limit::StallAfter(60_000)]);
    let import = servers
        .configapi(["import", path.to_str().unwrap(), "--show", "0"])
        .env("CONFIGAPI_COMMAND_URL", &format!("http://{}", proxy.address))
        .starts();
    while events(&servers) == 0 {}
    write_over_end(&path, "w19999\"\n}\n");
    proxy.cut();
    let ended = import.ends().failed_with(1);
    for part in ["was written into while it was being imported", "changes are known to be made"] {
        assert!(ended.stderr.contains(part), "{part}: {ended:#?}");
    }
    assert!(events(&servers) < 20_000);
    servers.configapi(["get", "n019999"]).ends().failed_with(1);
}
