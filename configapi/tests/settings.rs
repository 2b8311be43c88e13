//! Settings of servers and of an operator's commands: what is wrong with one is told in its own words.

use crate::support::stored::written;
use crate::support::{Serving, configapi};

/// An address that is no machine's: a server that takes its settings ends there, and begins no store.
const NOWHERE: &str = "192.0.2.1:1";

/// The one line that a command with these settings ends with.
#[track_caller]
fn refusal(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = configapi(arguments.iter().copied());
    for (name, value) in environment {
        command = command.env(name, value);
    }
    let ended = command.ends().failed_with(2);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    ended.stderr.trim_end().to_owned()
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_the_command_that_was_typed() {
    insta::assert_snapshot!(
        refusal(&["audit", "--checkpoint", "c", "--keep", "3"], &[]),
        @"configapi: --file (CONFIGAPI_AUDIT_FILE): is not set; it wants <PATH>: Append the records to this file instead of stdout"
    );
    insta::assert_snapshot!(
        refusal(&["audit", "--checkpoint", "c", "--file", "a", "--post", "http://localhost"], &[]),
        @"configapi: --file (CONFIGAPI_AUDIT_FILE): does not go with --post (CONFIGAPI_AUDIT_POST); it wants <PATH>: Append the records to this file instead of stdout"
    );
    insta::assert_snapshot!(
        refusal(&["backup", ""], &[]),
        @"configapi: <FILE>: is empty; it wants <FILE>: The path of the file; - is stdout"
    );
}

#[test]
fn a_variable_that_is_empty_is_none_for_a_server_too() {
    let empty = [
        "CONFIGAPI_SNAPSHOT_DIR",
        "CONFIGAPI_SNAPSHOT_EVENTS",
        "CONFIGAPI_LOG",
        "CONFIGAPI_LOG_FORMAT",
        "CONFIGAPI_OTLP_ENDPOINT",
        "CONFIGAPI_GATEWAY_HOSTS",
        "CONFIGAPI_GATEWAY_CORS_ORIGINS",
        "CONFIGAPI_GATEWAY_TIMEOUT",
    ];
    let serving = Serving::start_within("memory:", &[], &empty.map(|name| (name, "")));
    serving.configapi(["set", "a", "1"]).ends().succeeded();
    // But no server begins with a store that nobody named.
    let refused = refusal(&["serve", "--command-addr", NOWHERE], &[("CONFIGAPI_STORE", "")]);
    assert!(refused.starts_with("configapi: --store (CONFIGAPI_STORE)"), "{refused}");
}

#[test]
fn a_wrong_store_url_is_named_with_what_is_wrong_and_without_its_password() {
    let wrong = [
        ("postgres://me:s3cret@db/d?nope=1", r#"has the unknown parameter "nope""#),
        ("postgres://me:s3cret@db:99999/d", "has a port that is no number up to 65535"),
        ("postgres://me:s3cret@db/d?sslmode=zz", r#"has a wrong value for "sslmode""#),
    ];
    // A server may have a store in memory; an operator's command is for one that lasts.
    let of_servers = [
        ("", "is empty; give postgres://user@host/database, sqlite:path or memory:; "),
        (
            "mysql://me:s3cret@db/d",
            "is none of postgres://user@host/database, sqlite:path (no URI, ",
        ),
    ];
    let of_operators = [
        ("", "is empty; give postgres://user@host/database or sqlite:path; "),
        (
            "mysql://me:s3cret@db/d",
            "is neither postgres://user@host/database nor sqlite:path (no URI, ",
        ),
    ];
    for command in [
        &["serve", "--command-addr", NOWHERE][..],
        &["verify"],
        &["backup", "-"],
        &["restore-backup", "-"],
        &["migrate"],
        &["begin-epoch"],
        &["audit", "--checkpoint", "c"],
    ] {
        let is_server = command[0] == "serve";
        for (url, what) in
            wrong.into_iter().chain(if is_server { of_servers } else { of_operators })
        {
            let typed: Vec<_> = command.iter().copied().chain(["--store", url]).collect();
            for refused in [refusal(&typed, &[]), refusal(command, &[("CONFIGAPI_STORE", url)])] {
                let expected = format!("configapi: --store (CONFIGAPI_STORE): {what}");
                assert!(refused.starts_with(&expected), "{refused}");
                assert_eq!(refused.contains("memory:"), is_server, "{refused}");
                assert!(refused.contains("it wants <URL>: "), "{refused}");
                assert!(!refused.contains("s3cret"), "{refused}");
            }
        }
    }
}

#[test]
fn a_variable_says_yes_and_no_in_the_usual_words() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let audit = |name: &str, includes: &str| {
        let checkpoint = directory.path().join(name).display().to_string();
        configapi(["audit", "--once", "--store", &store, "--checkpoint", &checkpoint])
            .env("CONFIGAPI_AUDIT_INCLUDE_VALUES", includes)
            .ends()
    };
    for (includes, are_included) in
        [("1", true), ("true", true), ("yes", true), ("0", false), ("false", false), ("no", false)]
    {
        let ended = audit(includes, includes).succeeded();
        assert_eq!(ended.stdout.contains("é😀"), are_included, "{includes}: {ended:#?}");
    }
    assert!(!audit("none", "").succeeded().stdout.contains("é😀"));
    audit("perhaps", "perhaps").failed_with(2);
}

#[test]
fn a_limit_that_lets_nothing_through_is_refused() {
    for (arguments, part) in [
        (
            &["serve", "--command-addr", NOWHERE, "--gateway-max-requests", "0"][..],
            "not a whole number above zero",
        ),
        (
            &["serve", "--command-addr", NOWHERE, "--gateway-timeout", "0s"],
            "not a duration above zero",
        ),
        (
            &["serve", "--command-addr", NOWHERE, "--snapshot-interval", "0s"],
            "not a duration above zero",
        ),
        (&["audit", "--checkpoint", "c", "--rotate-bytes", "0"], "not a size above zero"),
        (&["audit", "--checkpoint", "c", "--post-timeout", "0ms"], "not a duration above zero"),
    ] {
        let refused = refusal(arguments, &[]);
        assert!(refused.contains(part), "{refused}");
    }
}

/// Each numeric setting, and what says that it wants less.
const NUMBERS: [(&[&str], &str, &[&str], &str); 11] = [
    (SERVE, "GATEWAY_MAX_REQUESTS", HUGE, "more than a limit may be, 10000000"),
    (SERVE, "GATEWAY_MAX_WATCHES", HUGE, "more than a limit may be, 10000000"),
    (SERVE, "QUERY_MAX_WATCHERS", HUGE, "more than a limit may be, 10000000"),
    (SERVE, "GATEWAY_TIMEOUT", LONG, "longer than a duration may be, 1000000h"),
    (SERVE, "SNAPSHOT_INTERVAL", LONG, "longer than a duration may be, 1000000h"),
    (SERVE, "STOP_DELAY", LONG, "longer than a duration may be, 1000000h"),
    (SERVE, "SNAPSHOT_EVENTS", &["18446744073709551616"], "number too large"),
    (SERVE, "OTLP_SAMPLE_RATIO", &["2", "1e999", "NaN", "inf"], "must be a number from 0 to 1"),
    (AUDIT, "AUDIT_KEEP", &["18446744073709551616"], "number too large"),
    (AUDIT, "AUDIT_POST_TIMEOUT", LONG, "longer than a duration may be, 1000000h"),
    (AUDIT, "AUDIT_ROTATE_BYTES", LARGE, "larger than a size may be, 1048576GiB"),
];
const SERVE: &[&str] = &["serve", "--command-addr", NOWHERE];
const AUDIT: &[&str] = &["audit", "--checkpoint", "c", "--file", "f"];
// The second is more than a semaphore can count, the third is the last that fits.
const HUGE: &[&str] =
    &["10000001", "2305843009213693952", "18446744073709551615", "18446744073709551616"];
const LONG: &[&str] = &["1000001h", "18446744073709551615h", "18446744073709551616ms"];
const LARGE: &[&str] = &["1048577GiB", "18446744073709551615GiB", "18446744073709551616"];

#[test]
fn a_number_beyond_all_measure_is_refused_at_the_start() {
    for (command, setting, numbers, wants) in NUMBERS {
        let variable = format!("CONFIGAPI_{setting}");
        for number in numbers {
            let refused = refusal(command, &[(&variable, number)]);
            let is_told = refused.contains(&format!("({variable}): {wants}"));
            assert!(is_told, "{setting} {number}: {refused}");
        }
    }
}

#[test]
fn a_server_with_the_largest_numbers_that_are_taken_serves() {
    let snapshots = tempfile::tempdir().unwrap();
    let largest = [
        ("CONFIGAPI_GATEWAY_MAX_REQUESTS", "10000000"),
        ("CONFIGAPI_GATEWAY_MAX_WATCHES", "10000000"),
        ("CONFIGAPI_QUERY_MAX_WATCHERS", "10000000"),
        ("CONFIGAPI_GATEWAY_TIMEOUT", "1000000h"),
        ("CONFIGAPI_SNAPSHOT_INTERVAL", "1000000h"),
        ("CONFIGAPI_SNAPSHOT_EVENTS", "18446744073709551615"),
        ("CONFIGAPI_SNAPSHOT_DIR", snapshots.path().to_str().unwrap()),
    ];
    let serving = Serving::start_within("memory:", &[], &largest);
    serving.configapi(["set", "a", "1"]).ends().succeeded();
    serving.configapi(["watch", "--initial", "--count", "0"]).ends().succeeded();
    let gateway = format!("{}/v1/config/a", serving.gateway);
    serving.configapi(["healthcheck", "--url", &gateway]).ends().succeeded();
}

#[test]
fn a_client_whose_variable_is_wrong_is_told_which() {
    for (variable, flag, placeholder) in [
        ("CONFIGAPI_TIMEOUT", "--timeout", "<DURATION>"),
        ("CONFIGAPI_OUTPUT", "--output", "<FORM>"),
        ("CONFIGAPI_QUERY_URL", "--query-url", "<URL>"),
        ("CONFIGAPI_TOKEN", "--token", "<TOKEN>"),
    ] {
        let get = || configapi(["get", "a"]).env(variable, "no such thing");
        let ended = get().ends().failed_with(2);
        let told = format!("'{flag} {placeholder} ({variable})'");
        assert!(ended.stderr.contains(&told), "{told}: {ended:#?}");
        // Nothing is wrong with a variable that does not count.
        let ended = get().arg(flag).arg("nor this").ends().failed_with(2);
        let told = format!("'{flag} {placeholder}'");
        assert!(ended.stderr.contains(&told), "{told}: {ended:#?}");
        assert!(!ended.stderr.contains(variable), "{ended:#?}");
    }
}

#[test]
fn a_person_is_told_of_a_variable_that_nothing_knows_and_a_script_is_not() {
    let misspelt = |arguments: &[&'static str]| {
        configapi(arguments.iter().copied())
            .env("CONFIGAPI_COMAND_URL", "http://me:s3cret@nowhere")
            .env("CONFIGAPI_STOP_DELAY", "s3cret")
    };
    let away = ["get", "a", "--query-url", "http://127.0.0.1:1", "--timeout", "1s"];
    let told = misspelt(&away).somebody_sees_stderr().ends().failed_with(3).stderr;
    let line = "configapi: these variables are set, and nothing knows them: \
                CONFIGAPI_COMAND_URL (is it CONFIGAPI_COMMAND_URL?)";
    assert_eq!(told.lines().next(), Some(line), "{told}");
    assert_eq!(told.matches("CONFIGAPI_COMAND_URL").count(), 1, "{told}");
    assert!(!told.contains("s3cret"), "{told}");

    let without = configapi(away).ends().failed_with(3).stderr;
    assert_eq!(misspelt(&away).ends().failed_with(3).stderr, without);
    // A shell has this typed for it each time that it begins.
    let begins = misspelt(&["completions", "bash"]).somebody_sees_stderr().ends().succeeded();
    assert_eq!(begins.stderr, "");
}

#[test]
fn a_server_logs_which_variables_nothing_knows_once() {
    let misspelt = [("CONFIGAPI_SNAPSHOTS_DIR", "s3cret"), ("CONFIGAPI_NAMESPACE", "default")];
    let serving = Serving::start_within("memory:", &[], &misspelt);
    let log = serving.ends_with_log();
    assert_eq!(
        log.matches("CONFIGAPI_SNAPSHOTS_DIR (is it CONFIGAPI_SNAPSHOT_DIR?)").count(),
        1,
        "{log}"
    );
    assert!(!log.contains("s3cret") && !log.contains("CONFIGAPI_NAMESPACE"), "{log}");
}

#[test]
fn one_namespace_and_all_of_them_are_not_asked_for_at_once() {
    for command in [&["list"][..], &["at", "2024-01-15"], &["diff", "1d", "now"], &["watch"]] {
        let typed = command.iter().copied().chain(["-A", "-n", "billing"]);
        let ended = configapi(typed).ends().failed_with(2);
        let why = "'--all-namespaces' cannot be used with '--namespace <NAMESPACE>'";
        assert!(ended.stderr.contains(why), "{ended:#?}");
        assert!(ended.stderr.contains(&format!("Usage: configapi {} ", command[0])), "{ended:#?}");
    }
    // What the environment says is what is meant where nothing is said.
    let serving = Serving::start("memory:");
    serving.configapi(["list", "-A"]).env("CONFIGAPI_NAMESPACE", "billing").ends().succeeded();
}
