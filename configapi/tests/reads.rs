//! get, list, history, at, diff and status.

use crate::support::{Servers, configapi};

/// Three configs and a deleted one, in two namespaces: positions 1 to 6.
fn furnished() -> Servers {
    let servers = Servers::start();
    servers.set("billing/limit", "1");
    servers.set("billing/rate", "0.5");
    servers.set("app", "on");
    servers.set("billing/limit", "2");
    servers.configapi(["set", "app", "other", "-n", "staging"]).ends().succeeded();
    servers.configapi(["delete", "app"]).ends().succeeded();
    servers
}

#[test]
fn a_list_is_in_order_and_of_one_namespace_or_of_all() {
    let servers = furnished();
    let names = |arguments: &[&str]| {
        let arguments = ["list", "-o", "raw"].iter().chain(arguments).copied();
        servers.read(arguments).stdout
    };
    assert_eq!(names(&[]), "billing/limit\nbilling/rate\n");
    assert_eq!(names(&["billing/r"]), "billing/rate\n");
    assert_eq!(names(&["-A"]), "default\tbilling/limit\ndefault\tbilling/rate\nstaging\tapp\n");
    assert_eq!(names(&["-n", "staging"]), "app\n");
    assert_eq!(names(&["--at", "3"]), "app\nbilling/limit\nbilling/rate\n");
    assert_eq!(names(&["--limit", "1"]), "billing/limit\n");
    assert_eq!(names(&["nothing"]), "");
}

#[test]
fn a_flag_that_was_typed_wins_over_the_environment_and_an_empty_variable_is_none() {
    let servers = furnished();
    let get = || servers.configapi(["get", "billing/limit"]);
    let read = get().arg("--linearizable").env("CONFIGAPI_TOKEN", "9-1").ends();
    assert_eq!(read.succeeded().stdout, "2");
    let read = get().arg("--token=1-4").env("CONFIGAPI_TOKEN", "9-1").ends();
    assert_eq!(read.succeeded().stdout, "2");
    let lost = get().env("CONFIGAPI_TOKEN", "9-1").ends().failed_with(3);
    assert!(lost.stderr.contains("LOG_CHANGED"), "{lost:#?}");
    let read = get().arg("--linearizable").env("CONFIGAPI_TOKEN", "nonsense").ends();
    assert_eq!(read.succeeded().stdout, "2");
    for wrong in [get().env("CONFIGAPI_TOKEN", "nonsense"), get().arg("--token=nonsense")] {
        let wrong = wrong.ends().failed_with(2);
        assert!(
            wrong.stderr.contains("invalid value 'nonsense' for '--token <TOKEN>"),
            "{wrong:#?}"
        );
    }
    get().arg("--linearizable").arg("--token=1-4").ends().failed_with(2);
    let variables = ["TOKEN", "OUTPUT", "TIMEOUT", "NAMESPACE", "COMMAND_URL"];
    let empty = variables
        .iter()
        .fold(get().arg("--linearizable"), |get, name| get.env(&format!("CONFIGAPI_{name}"), ""));
    assert_eq!(empty.ends().succeeded().stdout, "2");
    let set =
        ["ACTOR", "REASON"].iter().fold(servers.configapi(["set", "app2", "on"]), |set, name| {
            set.env(&format!("CONFIGAPI_{name}"), "")
        });
    set.ends().succeeded();
    let actor = servers.read(["get", "app2", "-o", "json"]).json()["actor"].to_string();
    assert!(actor.contains("tester"), "{actor}");
}

#[test]
fn a_list_without_values_has_none() {
    let servers = furnished();
    let list = servers.read(["list", "--keys", "-o", "json"]).json();
    assert_eq!(list[0]["name"], "billing/limit");
    assert_eq!(list[0]["version"], 2);
    assert!(list[0].get("value").is_none(), "{list}");
}

#[test]
fn the_past_is_told_at_a_position_a_token_and_a_time() {
    let servers = furnished();
    let get = |at: &str| servers.read(["get", "billing/limit", "--at", at]).stdout;
    assert_eq!(get("3"), "1");
    assert_eq!(get("1-3"), "1");
    assert_eq!(get("4"), "2");
    let at = |moment: &str| servers.configapi(["at", moment, "billing/limit"]).ends();
    assert_eq!(at("1-3").succeeded().stdout, "1");
    let history = servers.read(["history", "billing/limit", "-o", "json"]).json();
    let first = history[0]["recorded_at"].as_str().unwrap().to_owned();
    assert_eq!(at(&first).succeeded().stdout, "1");
    for before in ["1h", "1d", "52w"] {
        let ended = at(before).failed_with(1);
        assert!(ended.stderr.contains("does not exist"), "{ended:#?}");
    }
    assert_eq!(at("now").succeeded().stdout, "2");
    let diff = |from: &str| servers.read(["diff", from, "now", "-o", "raw"]).stdout;
    assert_eq!(diff("7d").lines().count(), 2);
    assert_eq!(diff("now"), "");
    at("2001-01-01").failed_with(1);
    let all = servers.configapi(["at", "3", "-o", "json"]).ends().succeeded().json();
    assert_eq!(all.as_array().unwrap().len(), 3);
    let some = servers.configapi(["at", "3", "--prefix", "b", "-o", "raw"]).ends().succeeded();
    assert_eq!(some.stdout, "billing/limit\nbilling/rate\n");
}

/// Half a moment is refused: midnight of that day would be another one.
#[test]
fn a_time_without_an_offset_is_refused_and_not_taken_for_its_day() {
    for text in [
        "2024-01-15T10:30:00",
        "2024-01-15 10:30",
        "2024-01-15T10:30",
        "2024-01-15T10:30:00[Europe/Paris]",
        "2024-01-15[UTC]",
    ] {
        for arguments in [
            &["get", "a", "--at", text][..],
            &["list", "--at", text],
            &["diff", "1", text],
            &["diff", text],
            &["at", text],
            &["export", "--at", text],
            &["restore", "a", "--at", text],
        ] {
            let ended = configapi(arguments.iter().copied()).ends().failed_with(2);
            assert!(ended.stderr.contains("needs an offset or Z"), "{ended:#?}");
        }
    }
    let servers = Servers::start();
    servers.set("a", "1");
    let at = |text: &str| servers.configapi(["at", text, "-o", "raw"]).ends().succeeded().stdout;
    assert_eq!(at("2024-01-15"), "");
    assert_eq!(at("2024-01-15T12:30:00+02:00"), "");
    configapi(["at", "+002024-01-15"]).ends().failed_with(2);
}

#[test]
fn the_end_of_time_is_a_time() {
    let servers = Servers::start();
    servers.set("a", "1");
    for time in [
        "9999-12-30T22:00:00Z",
        "9999-12-30T22:00:00.000001Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.999999999Z",
        "9999-12-31T23:59:59-11:00",
        "9999-12-31T23:59:59+02:00",
        "9999-12-31",
    ] {
        let ended = servers.configapi(["get", "a", "--at", time]).ends().succeeded();
        assert_eq!(ended.stdout, "1", "{time}");
    }
    for time in ["9999-12-32T00:00:00Z", "9999-12-31T23:59:59", "10000-01-01T00:00:00Z"] {
        configapi(["get", "a", "--at", time]).ends().failed_with(2);
    }
}

#[test]
fn what_is_no_moment_is_refused_with_what_one_is() {
    for text in ["01", "00", "2024-01-15T10:30:00+25:00", "2024-01-15T10:30:00-24:00", "soon"]
        .into_iter()
        .chain(["d", "w", "+1d", "1.5d", "1d12h", "41667d", "Now", "99999999999999999999w"])
    {
        let ended = configapi(["get", "a", "--at", text]).ends().failed_with(2);
        assert!(ended.stderr.contains("a position (1042)"), "{text}: {ended:#?}");
    }
}

#[test]
fn a_history_has_all_events_in_either_order() {
    let servers = furnished();
    let history = |arguments: &[&str]| {
        let arguments = ["history", "app", "-o", "raw"].iter().chain(arguments).copied();
        servers.read(arguments).stdout
    };
    assert_eq!(
        history(&[]),
        "3\tdefault\tapp\t1\tConfigValueSet\ton\n6\tdefault\tapp\t2\tConfigValueDeleted\t\n"
    );
    let newest = history(&["--newest-first", "--limit", "1"]);
    assert_eq!(newest, "6\tdefault\tapp\t2\tConfigValueDeleted\t\n");
    let none = servers.read(["history", "nothing", "-o", "json"]);
    assert_eq!(none.stdout, "[]\n");
    assert!(none.stderr.contains("never existed"), "{none:#?}");
}

#[test]
fn a_diff_names_what_was_added_changed_and_removed() {
    let servers = furnished();
    let diff = servers.read(["diff", "1", "4"]);
    insta::assert_snapshot!(diff.stdout, @"
    + default/app = on
    ~ default/billing/limit = 1 -> 2
    + default/billing/rate = 0.5
    ");
    let diff = servers.read(["diff", "4", "-A", "-o", "json"]).json();
    assert_eq!(diff[0]["kind"], "removed");
    assert_eq!(diff[0]["from"]["value"], "on");
    assert_eq!(diff[1]["kind"], "added");
    assert_eq!(diff[1]["namespace"], "staging");
}

#[test]
fn long_answers_come_whole_over_many_pages() {
    let servers = Servers::start();
    let file = (0..2_500).map(|n| format!("n{n:05}={n}")).collect::<Vec<_>>().join("\n");
    servers.configapi(["import", "--form", "env", "-"]).stdin(file).ends().succeeded();
    let list = servers.read(["list", "-o", "json"]).json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2_500);
    assert!(list.iter().enumerate().all(|(n, config)| config["value"] == *n.to_string()));
    let limited = servers.read(["list", "--limit", "1500", "-o", "raw"]).stdout;
    assert_eq!(limited.lines().count(), 1_500);
}

#[test]
fn the_status_tells_of_both_servers() {
    let servers = furnished();
    let status = servers.read(["status", "--state-hash", "-o", "json"]).json();
    assert_eq!(status["query_server"], "serving");
    assert_eq!(status["command_server"], "serving");
    assert_eq!(status["token"], "1-6");
    assert_eq!(status["live_configs"], 3);
    assert_eq!(status["deleted_configs"], 1);
    assert!(status["state_hash"].is_string(), "{status}");
    let away = servers
        .configapi(["status", "--command-url", "http://127.0.0.1:1", "-o", "json"])
        .ends()
        .failed_with(3);
    let why = "away: there is no command server at http://127.0.0.1:1 (UNAVAILABLE)";
    assert_eq!(away.json()["command_server"], why);
    let unread = servers.configapi(["status", "--command-url", "http://127.0.0.1:1"]);
    unread.nobody_reads_stdout().ends().failed_with(3);
    servers.configapi(["status"]).nobody_reads_stdout().ends().succeeded();
}
