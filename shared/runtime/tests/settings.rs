//! A wrong setting is one line that names it and says what it wants.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use configapi_runtime::{
    settings::{self, NoSettings},
    telemetry::LogSettings,
};

/// A server for tests.
#[derive(Debug, Parser)]
#[command(name = "probe", version = "1.2.3")]
pub struct Settings {
    /// Where the log is
    #[arg(long, env = "CONFIGAPI_TEST_STORE", value_name = "URL", hide_env_values = true)]
    #[arg(value_parser = store)]
    store: String,
    /// Where it listens
    #[arg(long, env = "CONFIGAPI_TEST_ADDR", value_name = "ADDR", default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// How long it waits
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    #[arg(value_parser = settings::duration)]
    wait: Duration,
    /// How much it holds
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    #[arg(value_parser = settings::byte_size)]
    size: usize,
    #[command(flatten)]
    pub log: LogSettings,
}

fn store(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some(("memory" | "sqlite", _)) => Ok(text.to_owned()),
        _ => Err(format!("no store: {text}")),
    }
}

fn read(arguments: &[&str]) -> Result<Settings, NoSettings> {
    settings::parse_from(["probe", "--store", "memory:"].iter().chain(arguments))
}

fn line(arguments: &[&str]) -> String {
    match settings::parse_from::<Settings>(["probe"].iter().chain(arguments)) {
        Err(NoSettings::Wrong(line)) => line,
        other => panic!("{other:?}"),
    }
}

#[test]
fn settings_are_read_with_their_units() {
    let settings = read(&["--wait", "500ms", "--size", "1MiB"]).expect("good settings");
    assert_eq!((settings.wait, settings.size), (Duration::from_millis(500), 1 << 20));
    assert_eq!((settings.address.port(), settings.store.as_str()), (0, "memory:"));
    let settings = read(&[]).expect("good defaults");
    assert_eq!((settings.wait, settings.size), (Duration::from_secs(10), 64 * 1024));
}

#[test]
fn a_wrong_setting_is_named_with_what_it_wants() {
    let memory = ["--store", "memory:"];
    assert_eq!(
        line(&[&memory[..], &["--address", "here"]].concat()),
        "probe: --address (CONFIGAPI_TEST_ADDR): invalid socket address syntax; \
         it wants <ADDR>: Where it listens"
    );
    assert_eq!(
        line(&[&memory[..], &["--wait", "10"]].concat()),
        "probe: --wait: not a duration like 500ms, 10s, 5m or 2h; \
         it wants <DURATION>: How long it waits"
    );
    assert_eq!(
        line(&[&memory[..], &["--log-format", "xml"]].concat()),
        "probe: --log-format (CONFIGAPI_LOG_FORMAT): is wrong; it wants one of text, json \
         (The form of log lines: text, or one JSON object a line \
         (default: text on a terminal, else json))"
    );
    let filter = line(&[&memory[..], &["--log", "a=b=c"]].concat());
    assert!(filter.starts_with("probe: --log (CONFIGAPI_LOG): not a log filter"), "{filter}");
}

#[test]
fn a_word_that_is_no_level_is_no_filter() {
    let memory = ["--store", "memory:"];
    assert_eq!(
        line(&[&memory[..], &["--log", "warning"]].concat()),
        "probe: --log (CONFIGAPI_LOG): not a log filter like info or info,configapi=debug; \
         it wants <FILTER>: What is logged: a level (off, error, warn, info, debug, trace) or \
         directives like info,configapi=debug"
    );
    for filter in ["infoo", "info,warning", "[span]=info,infoo", "info, debug", "configapi=infoo"] {
        let line = line(&[&memory[..], &["--log", filter]].concat());
        assert!(line.contains("not a log filter"), "{filter}: {line}");
    }
    for filter in [
        "off",
        "WARN",
        "info,configapi_gateway=debug",
        "warn,configapi_gateway",
        "error,hyper::proto",
        "info,[span{a}]=debug,configapi",
    ] {
        read(&["--log", filter]).unwrap_or_else(|error| panic!("{filter}: {error:?}"));
    }
}

#[test]
fn a_missing_setting_is_named() {
    assert_eq!(
        line(&[]),
        "probe: --store (CONFIGAPI_TEST_STORE): is not set; it wants <URL>: Where the log is"
    );
}

#[test]
fn a_secret_is_not_repeated() {
    let line = line(&["--store", "postgres://me:hunter2@host/log"]);
    assert_eq!(
        line,
        "probe: --store (CONFIGAPI_TEST_STORE): is wrong; it wants <URL>: Where the log is"
    );
}

#[test]
fn an_unknown_setting_is_named() {
    assert_eq!(line(&["--adress=here"]), "probe: --adress is not a setting; see probe --help");
    let typed = "postgres://user:s3cret@host/db";
    assert_eq!(line(&[typed]), "probe: unexpected argument found; see probe --help");
}

#[test]
fn help_and_version_are_answers_not_errors() {
    for (flag, text) in [("--help", "Where it listens"), ("--version", "probe 1.2.3")] {
        match read(&[flag]) {
            Err(NoSettings::Asked(page)) => assert!(page.contains(text), "{page}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn sizes_and_durations_that_do_not_fit_are_refused() {
    for text in ["", "s", "-1s", "1.5s", "1 s", "1S", "99999999999999999999h", "9999999999999999h"]
    {
        assert!(settings::duration(text).is_err(), "{text:?}");
    }
    // More than that no deadline of a call can say.
    assert!(settings::duration("1000000h").is_ok());
    let longer = settings::duration("3600000001s").unwrap_err();
    assert_eq!(longer.to_string(), "longer than a duration may be, 1000000h");
    for text in ["", "KiB", "-1", "1kb", "1 MiB", "99999999999999999999", "99999999999GiB"] {
        assert!(settings::byte_size(text).is_err(), "{text:?}");
    }
    for text in ["", "-1", "+", "1.5", "1e3", "10000001", "99999999999999999999"] {
        assert!(settings::number(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_setting_that_is_said_twice_is_told_so() {
    let twice = line(&["--store", "memory:", "--store", "memory:"]);
    let wants =
        "probe: --store (CONFIGAPI_TEST_STORE): is said twice; it wants <URL>: Where the log is";
    assert_eq!(twice, wants);
}
