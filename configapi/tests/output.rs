//! The forms of output: for people, for programs, for shells.

use std::fs;
use std::process::Command;

use crate::support::Servers;

#[test]
fn a_table_has_columns_and_shows_what_a_terminal_would_act_on() {
    let servers = Servers::start();
    servers.set("a", "plain");
    servers.set("long/name", "two\nlines and \u{1b}[31mred\u{202e}");
    let table = servers.read(["list"]).stdout;
    let shown: Vec<_> = table.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(shown, ["NAME", "a", "long/name"]);
    assert!(table.contains(r"two\nlines and \u{1b}[31mred\u{202e}"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    assert_eq!(servers.read(["get", "long/name"]).stdout, "two\nlines and \u{1b}[31mred\u{202e}");
}

#[test]
fn what_cannot_be_seen_is_shown_and_what_joins_letters_is_left_alone() {
    let servers = Servers::start();
    servers.set("a", "\u{feff}a\u{200b}b\u{200e}c\u{200f}d\u{2060}e");
    servers.set("b", "👩\u{200d}🚀");
    let table = servers.read(["list"]).stdout;
    assert!(table.contains(r"\u{feff}a\u{200b}b\u{200e}c\u{200f}d\u{2060}e"), "{table}");
    assert!(table.contains("👩\u{200d}🚀"), "{table}");
}

#[test]
fn every_form_holds_the_same() {
    let servers = Servers::start();
    servers
        .configapi(["set", "a", "no", "--content-type", "text/plain", "--reason", "x: y"])
        .ends()
        .succeeded();
    let json = servers.read(["get", "a", "-o", "json"]).json();
    assert_eq!(json["value"], "no");
    assert_eq!(json["content_type"], "text/plain");
    let yaml = servers.read(["get", "a", "-o", "yaml"]).stdout;
    assert!(yaml.contains("value: \"no\"\n"), "{yaml}");
    assert!(yaml.contains("reason: \"x: y\"\n"), "{yaml}");
    let table = servers.read(["get", "a", "-o", "table"]).stdout;
    assert!(table.contains("content type  text/plain\n"), "{table}");
    let list = servers.read(["list", "-o", "yaml"]).stdout;
    assert!(list.starts_with("- namespace: default\n  name: a\n"), "{list}");
    assert_eq!(servers.read(["list", "none", "-o", "yaml"]).stdout, "[]\n");
    assert_eq!(servers.read(["list", "none", "-o", "json"]).stdout, "[]\n");
    let by_setting =
        servers.configapi(["get", "a", "--linearizable"]).env("CONFIGAPI_OUTPUT", "json");
    assert_eq!(by_setting.ends().succeeded().json()["value"], "no");
}

/// Runs the binary with a terminal for stdout and stderr; `script` comes with util-linux.
fn on_a_terminal(servers: &Servers, arguments: &str, environment: &[(&str, &str)]) -> String {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_configapi"));
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TERM", "xterm")
        .env("CONFIGAPI_QUERY_URL", format!("http://{}", servers.query))
        .envs(environment.iter().copied())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let servers = Servers::start();
    servers.set("a", "1");
    assert!(!servers.read(["list"]).stdout.contains('\u{1b}'));
    let shown = on_a_terminal(&servers, "list --linearizable", &[]);
    assert!(shown.contains("\u{1b}[1mNAME"), "{shown}");
    for wish in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = on_a_terminal(&servers, "list --linearizable", &[wish]);
        assert!(shown.contains("NAME") && !shown.contains('\u{1b}'), "{shown}");
    }
}

#[test]
fn what_goes_elsewhere_than_to_the_terminal_has_no_colours() {
    let servers = Servers::start();
    let folder = tempfile::tempdir().unwrap();
    let (file, messages) = (folder.path().join("a.json"), folder.path().join("messages"));
    let long = "x".repeat(100);
    fs::write(&file, format!(r#"{{"a":"{long}"}}"#)).unwrap();
    let url = format!("http://{}", servers.command);
    let import = format!("import {} --dry-run --output json", file.display());
    let run = |line: &str| on_a_terminal(&servers, line, &[("CONFIGAPI_COMMAND_URL", &url)]);

    let shown = run(&import);
    assert!(shown.contains(&format!("\u{1b}[32m+ default/a = {}…", "x".repeat(59))), "{shown}");
    let shown = run(&format!("{import} 2>{}", messages.display()));
    assert!(shown.starts_with("{\r\n") && !shown.contains('\u{1b}'), "{shown}");
    let messages = fs::read_to_string(messages).unwrap();
    assert!(messages.starts_with(&format!("+ default/a = {long}\n")), "{messages:?}");
}

#[test]
fn a_terminal_gets_a_line_break_after_a_value_and_long_cells_are_cut() {
    let servers = Servers::start();
    servers.set("a", &"x".repeat(100));
    assert_eq!(servers.read(["get", "a"]).stdout, "x".repeat(100));
    let shown = on_a_terminal(&servers, "get a --linearizable", &[]);
    assert_eq!(shown, format!("{}\r\n", "x".repeat(100)));
    let shown = on_a_terminal(&servers, "list --linearizable", &[]);
    assert!(shown.contains(&format!("{}…", "x".repeat(59))), "{shown}");
    assert!(servers.read(["list"]).stdout.contains(&"x".repeat(100)));
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let servers = Servers::start();
    let line = |n| format!("n{n}={}", "x".repeat(500));
    let file = (0..1_000).map(line).collect::<Vec<_>>().join("\n");
    servers.configapi(["import", "--form", "env", "-"]).stdin(file).ends().succeeded();
    let mut running = servers.configapi(["list", "-o", "json", "--linearizable"]).starts();
    assert_eq!(running.line(), "[");
    let ended = running.closes_stdout_and_ends().succeeded();
    assert_eq!(ended.stderr, "");
}
