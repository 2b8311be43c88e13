//! export and import between servers and files.

use crate::support::{Limit, Servers};

const CONFIGS: &[(&str, &str, &str)] = &[
    ("app/name", "ConfigApi", ""),
    ("app/theme", "{\"dark\": true}", "application/json"),
    ("empty", "", ""),
    ("text", "  two\r\nlines\t\"quoted\" \\ $HOME `x` # = : ! é 😀 ", ""),
    ("zero", "007", "text/plain"),
];

fn furnished() -> Servers {
    let servers = Servers::start();
    for (name, value, content_type) in CONFIGS {
        servers
            .configapi(["set", name, "--content-type", content_type, "--", value])
            .ends()
            .succeeded();
    }
    servers
}

#[test]
fn what_is_exported_is_imported_byte_for_byte_in_every_form() {
    let servers = furnished();
    let directory = tempfile::tempdir().unwrap();
    for (namespace, file) in
        [("one", "a.json"), ("two", "a.yaml"), ("three", "a.env"), ("four", "a.properties")]
    {
        let run = |arguments: &[&str]| {
            let command = servers.configapi(arguments.iter().copied());
            command.in_directory(directory.path()).ends().succeeded()
        };
        run(&["export", "--file", file, "--linearizable"]);
        let report = run(&["import", file, "-n", namespace, "-o", "json"]).json();
        assert_eq!(report["added"], 5, "{file}: {report}");
        assert_eq!(report["written"], 5, "{file}: {report}");
        assert_eq!(report["as_one_change"], true, "{file}: {report}");
        let list = servers.read(["list", "-n", namespace, "-o", "json"]).json();
        for (config, (name, value, content_type)) in list.as_array().unwrap().iter().zip(CONFIGS) {
            assert_eq!(config["name"], *name);
            assert_eq!(config["value"], *value, "{file}");
            if file.ends_with("json") || file.ends_with("yaml") {
                assert_eq!(config["content_type"].as_str().unwrap_or(""), *content_type);
            }
        }
        // The second time there is nothing to do.
        let report = run(&["import", file, "-n", namespace, "-o", "json"]).json();
        assert_eq!((&report["unchanged"], &report["written"]), (&5.into(), &0.into()));
    }
}

#[test]
fn an_export_can_be_of_a_prefix_and_of_the_past() {
    let servers = furnished();
    servers.set("app/name", "renamed");
    let export = |arguments: &[&str]| {
        let arguments = ["export", "--linearizable"].iter().chain(arguments).copied();
        servers.configapi(arguments).ends().succeeded().stdout
    };
    insta::assert_snapshot!(export(&["--prefix", "app/"]), @r#"
    {
      "app/name": "renamed",
      "app/theme": {"value":"{\"dark\": true}","content_type":"application/json"}
    }
    "#);
    assert_eq!(export(&["--prefix", "app/n", "--at", "5", "-F", "env"]), "app/name=ConfigApi\n");
    assert_eq!(export(&["--prefix", "nothing"]), "{}\n");
}

#[test]
fn forms_without_content_types_say_so_and_an_import_keeps_what_is_there() {
    let servers = furnished();
    let ended = servers.configapi(["export", "-F", "env", "--linearizable"]).ends().succeeded();
    assert!(ended.stderr.contains("left out the content types of 2 configs"), "{ended:#?}");
    let changed = ended.stdout.replace("007", "008");
    let import = servers.configapi(["import", "-", "-F", "env", "-o", "json"]).stdin(changed);
    let report = import.ends().succeeded().json();
    assert_eq!((&report["changed"], &report["unchanged"]), (&1.into(), &4.into()));
    let config = servers.read(["get", "zero", "-o", "json"]).json();
    assert_eq!((&config["value"], &config["content_type"]), (&"008".into(), &"text/plain".into()));
}

#[test]
fn another_content_type_alone_is_a_change() {
    let servers = furnished();
    let file = r#"{"zero": {"value": "007", "content_type": "text/html"}}"#;
    let import = servers.configapi(["import", "-", "-o", "json"]).stdin(file).ends().succeeded();
    assert_eq!(import.json()["changed"], 1);
    assert_eq!(servers.read(["get", "zero", "-o", "json"]).json()["content_type"], "text/html");
}

#[test]
fn an_env_file_is_read_by_a_shell() {
    let servers = Servers::start();
    let value = "  two\r\nlines\\\n\t\"quoted\" \\ \\n $HOME `x` # = : ! é 😀 \n\n";
    let secret = "pa$word `x` \"y\" ${HOME}\n";
    for (name, value) in [
        ("ODD_1", value),
        ("SECRET", secret),
        ("_plain", "1"),
        ("EMPTY", ""),
        ("app/name", "1"),
        ("1st", "1"),
    ] {
        servers.set(name, value);
    }
    let exported = servers.configapi(["export", "-F", "env", "--linearizable"]).ends().succeeded();
    assert!(exported.stderr.contains("2 of the names are none of variables"), "{exported:#?}");
    let all = servers.configapi(["export", "-F", "json", "--linearizable"]).ends().succeeded();
    assert_eq!(all.stderr, "");
    let (ours, none) = ("ODD_1", ["app/name", "1st"]);
    let is_ours = |line: &&str| !none.iter().any(|name| line.starts_with(name));
    let lines: String = exported.stdout.split_inclusive('\n').filter(is_ours).collect();
    // Without an escape, which some readers leave as it is.
    assert!(lines.contains(&format!("SECRET='{secret}'\n")), "{lines}");
    let script = format!("{lines}\nprintf '%s.' \"${ours}\" \"$SECRET\" \"$_plain\" \"$EMPTY\"");
    let shell = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
    assert_eq!(String::from_utf8(shell.stdout).unwrap(), format!("{value}.{secret}.1.."));
}

#[test]
fn quotes_as_shells_write_them_are_read() {
    let servers = Servers::start();
    let import =
        |file: &str| servers.configapi(["import", "-", "-F", "env", "--yes"]).stdin(file).ends();
    import("A='it'\\''s $5'\nB=''\\'''\n").succeeded();
    assert_eq!(servers.read(["get", "A"]).stdout, "it's $5");
    assert_eq!(servers.read(["get", "B"]).stdout, "'");
    for wrong in ["A='it'\\'s", "A='it'\\x", "A='it'\\''s"] {
        let ended = import(wrong).failed_with(1);
        assert!(ended.stderr.contains("line 1: has"), "{ended:#?}");
    }
}

#[test]
fn the_differences_are_shown_first_and_a_dry_run_ends_there() {
    let servers = furnished();
    let file = r#"{"app/name": "New", "empty": "", "fresh": "1"}"#;
    let import = |arguments: &[&str]| {
        let arguments = ["import", "-"].iter().chain(arguments).copied();
        servers.configapi(arguments).stdin(file).ends().succeeded()
    };
    let ended = import(&["--dry-run"]);
    insta::assert_snapshot!(ended.stdout, @"
    ~ default/app/name = ConfigApi -> New
    + default/fresh = 1
    added          1
    changed        1
    unchanged      1
    would write    2
    refused        0
    as one change  true
    ");
    assert!(ended.stderr.contains("nothing was written"), "{ended:#?}");
    assert_eq!(servers.read(["get", "app/name"]).stdout, "ConfigApi");
    let ended = import(&["--show", "1", "-o", "json"]);
    assert_eq!(ended.json()["written"], 2);
    assert!(ended.stderr.contains("~ default/app/name = ConfigApi -> New"), "{ended:#?}");
    assert!(ended.stderr.contains("and 1 more differences"), "{ended:#?}");
    assert_eq!(servers.read(["get", "app/name"]).stdout, "New");
}

#[test]
fn whoever_sits_at_a_terminal_is_asked_before_anything_is_written() {
    let servers = Servers::start();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.json"), r#"{"app/name": "ConfigApi"}"#).unwrap();
    let import = |more: &[&str], answer| {
        let arguments = ["import", "a.json", "-o", "json"].iter().chain(more).copied();
        servers.configapi(arguments).in_directory(directory.path()).typed(answer).ends()
    };
    for answer in ["n\n", "\n", "yesterday\n", "\u{4}"] {
        let ended = import(&[], answer).failed_with(1);
        assert!(
            ended.stderr.contains("Make 1 change in the namespace default? [y/N] "),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("nothing was written"), "{ended:?}");
        servers.configapi(["get", "app/name", "--linearizable"]).ends().failed_with(1);
    }
    std::fs::write(directory.path().join("b.json"), r#"{"b": "1", "c": "2"}"#).unwrap();
    let two = servers.configapi(["import", "b.json"]).in_directory(directory.path()).typed("n\n");
    let two = two.ends().failed_with(1);
    assert!(two.stderr.contains("Make 2 changes in the namespace default? [y/N] "), "{two:?}");
    let dry = import(&["--dry-run"], "").succeeded();
    assert!(!dry.stderr.contains("[y/N]"), "{dry:?}");
    assert_eq!(import(&[], "y\n").succeeded().json()["written"], 1);
    // There is nothing to ask for any more.
    assert_eq!(import(&[], "").succeeded().json()["unchanged"], 1);
    std::fs::write(directory.path().join("a.json"), r#"{"app/name": "renamed"}"#).unwrap();
    assert_eq!(import(&["--yes"], "").succeeded().json()["written"], 1);
}

#[test]
fn a_mark_that_says_utf_8_is_no_part_of_a_file() {
    let servers = Servers::start();
    for (form, file) in [
        ("env", "from_env=1\n"),
        ("json", r#"{"from_json": "1"}"#),
        ("yaml", "from_yaml: 1\n"),
        ("properties", "from_properties=1\n"),
    ] {
        let import = servers.configapi(["import", "--form", form, "-"]);
        import.stdin(format!("\u{feff}{file}")).ends().succeeded();
        assert_eq!(servers.read(["get", &format!("from_{form}")]).stdout, "1");
    }
    for file in ["- {set: a, value: 1}", r#"[{"set": "b", "value": "1"}]"#] {
        servers.configapi(["apply", "-"]).stdin(format!("\u{feff}{file}")).ends().succeeded();
    }
    assert_eq!(servers.read(["list", "-o", "raw"]).stdout.lines().count(), 6);
    // A value is what it is.
    servers.configapi(["set", "a", "-"]).stdin("\u{feff}1").ends().succeeded();
    assert_eq!(servers.read(["get", "a"]).stdout, "\u{feff}1");
}

#[test]
fn an_import_is_made_though_nobody_reads_what_differs() {
    let servers = Servers::start();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.json"), r#"{"app/name": "ConfigApi"}"#).unwrap();
    let import = || {
        let arguments = ["import", "a.json", "--yes", "-o", "table"];
        servers.configapi(arguments).in_directory(directory.path()).nobody_reads_stdout().ends()
    };
    import().succeeded();
    assert_eq!(servers.read(["get", "app/name"]).stdout, "ConfigApi");
    servers.configapi(["delete", "app/name"]).ends().succeeded();
    import().failed_with(1);
}

#[test]
fn whoever_cannot_be_asked_has_not_said_yes() {
    let servers = Servers::start();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.json"), r#"{"app/name": "ConfigApi"}"#).unwrap();
    let import = servers.configapi(["import", "a.json"]).in_directory(directory.path());
    import.typed("y\n").nobody_reads_stderr().ends().failed_with(1);
    servers.configapi(["get", "app/name", "--linearizable"]).ends().failed_with(1);
}

#[test]
fn only_names_with_the_prefix_are_imported() {
    let servers = furnished();
    let file = r#"{"app/name": "New", "other": "1"}"#;
    servers.configapi(["import", "-", "--prefix", "app/"]).stdin(file).ends().succeeded();
    assert_eq!(servers.read(["get", "app/name"]).stdout, "New");
    servers.configapi(["get", "other"]).ends().failed_with(1);
}

#[test]
fn deleted_configs_are_refused_and_nothing_is_written() {
    let servers = furnished();
    servers.configapi(["delete", "zero"]).ends().succeeded();
    let file = r#"{"zero": "1", "fresh": "1"}"#;
    let ended = servers.configapi(["import", "-"]).stdin(file).ends().failed_with(1);
    assert!(ended.stderr.contains("zero"), "{ended:#?}");
    assert!(ended.stderr.contains("none of them was made"), "{ended:#?}");
    servers.configapi(["get", "fresh", "--linearizable"]).ends().failed_with(1);
}

#[test]
fn what_was_imported_before_and_deleted_is_refused_as_deleted() {
    let servers = Servers::start();
    let import = |more: &[&str]| {
        let arguments = ["import", "-"].iter().chain(more).copied();
        servers.configapi(arguments).stdin(r#"{"one": "1"}"#).ends()
    };
    import(&[]).succeeded();
    servers.configapi(["delete", "one"]).ends().succeeded();
    for more in [&["--dry-run"][..], &[], &["--reason", "another"]] {
        let ended = import(more).failed_with(1);
        insta::allow_duplicates! {
            insta::assert_snapshot!(ended.stderr, @"
            error: one was deleted (CONFIG_DELETED)
              hint: bring it back with `configapi restore` first
              hint: all changes are one: none of them was made
            ");
        }
    }
    servers.configapi(["get", "one", "--linearizable"]).ends().failed_with(1);
    servers.configapi(["restore", "one"]).ends().succeeded();
    import(&[]).succeeded();
}

#[test]
fn an_import_whose_outcome_is_unknown_is_to_be_run_again() {
    let servers = Servers::start();
    let stalls = [Limit::StallAfter(0); 12];
    let proxy = servers.proxy(servers.command, stalls);
    let import = |more: &[&str]| {
        let arguments = ["import", "-"].iter().chain(more).copied();
        servers.configapi(arguments).stdin(r#"{"one": "1"}"#).ends()
    };
    let url = format!("http://{}", proxy.address);
    let ended = import(&["--command-url", &url, "--timeout", "300ms"]).failed_with(3);
    assert!(ended.stderr.contains("run the same import again"), "{ended:#?}");
    assert!(!ended.stderr.contains("none of them was made"), "{ended:#?}");
    assert!(!ended.stderr.contains("--request-id"), "{ended:#?}");
    import(&[]).succeeded();
    let ended = import(&["--command-url", "http://127.0.0.1:1"]).succeeded();
    assert!(ended.stdout.contains("unchanged      1"), "{ended:#?}");
}

#[test]
fn names_that_part_within_a_character_are_refused_as_names() {
    let servers = Servers::start();
    let file = r#"{"é": "1", "è": "2"}"#;
    let ended = servers.configapi(["import", "-"]).stdin(file).ends().failed_with(1);
    assert!(ended.stderr.contains("INVALID_ARGUMENT"), "{ended:#?}");
    assert!(ended.stderr.contains("error: é: name: "), "{ended:#?}");
}

#[test]
fn a_config_that_is_refused_among_others_is_named() {
    let servers = Servers::start();
    servers.set("ok1", "1");
    let import = |file: &str| {
        let command = servers.configapi(["import", "-", "--show", "0"]).stdin(file);
        command.ends().failed_with(1).stderr
    };
    insta::assert_snapshot!(import(r#"{"ok1": "1", "ok2": "2", "bad name": "x", "b//d": "y"}"#), @"
    … and 3 more differences (--show says how many to show)
    error: bad name: name: may hold only A-Z, a-z, 0-9, _, -, . and / (INVALID_ARGUMENT)
      hint: b//d: name: must not have an empty, `.` or `..` segment
      hint: all changes are one: none of them was made
    ");
    let long = "x".repeat(600);
    let refused = import(&format!("{{\"ok2\": \"1\", \"{long}\": \"1\"}}"));
    assert!(refused.contains(&format!("error: {}…: name: ", &long[..512])), "{refused}");
}

#[test]
fn a_name_that_is_none_is_refused_as_a_name_if_it_stands_alone_too() {
    let servers = Servers::start();
    for (name, wants) in
        [("x".repeat(257), "must be 1 to 256 bytes, has 257"), ("a b".to_owned(), "may hold only ")]
    {
        let file = format!("{{\"{name}\": \"1\"}}");
        let ended = servers.configapi(["import", "-"]).stdin(file).ends().failed_with(1);
        let expected = format!("error: {name}: name: {wants}");
        assert!(ended.stderr.contains(&expected), "{expected}: {ended:#?}");
    }
}

#[test]
fn a_file_that_names_a_config_twice_is_refused() {
    let servers = Servers::start();
    let file = "a=1\nb=2\na=3\n";
    let ended = servers.configapi(["import", "-", "-F", "env"]).stdin(file).ends().failed_with(1);
    assert!(ended.stderr.contains("a is named twice"), "{ended:#?}");
}

#[test]
fn an_export_that_is_told_to_end_leaves_nothing_behind() {
    let servers = furnished();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.json");
    let proxy = servers.proxy(servers.query, [Limit::StallAfter(0); 8]);
    let url = format!("http://{}", proxy.address);
    let export = ["export", "--file", path.to_str().unwrap(), "--query-url", &url];
    let files = || std::fs::read_dir(directory.path()).unwrap().count();
    for signal in ["TERM", "INT"] {
        let mut running = servers.configapi(export).arg("--timeout").arg("60s").starts();
        while files() == 0 {
            assert!(running.child.try_wait().unwrap().is_none(), "it has ended");
        }
        running.signal(signal);
        let ended = running.ends().failed_with(3);
        assert!(ended.stderr.contains("nothing was replaced"), "{ended:#?}");
        assert_eq!(files(), 0);
    }
}

#[test]
fn an_export_whose_reader_goes_away_has_failed() {
    let servers = Servers::start();
    servers.configapi(["set", "large", "-"]).stdin("x".repeat(500_000)).ends().succeeded();
    let running = servers.configapi(["export", "--linearizable"]).starts();
    let ended = running.closes_stdout_and_ends().failed_with(3);
    assert!(ended.stderr.contains("it is not whole"), "{ended:#?}");
    // Of a list it is enough to have seen the beginning.
    servers.configapi(["list", "-o", "json"]).starts().closes_stdout_and_ends().succeeded();
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let servers = furnished();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.json");
    std::fs::write(&path, "before").unwrap();
    let path = path.to_str().unwrap();
    let away = ["export", "--file", path, "--query-url", "http://127.0.0.1:1"];
    servers.configapi(away).ends().failed_with(3);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "before");
    servers.configapi(["export", "--file", path, "--linearizable"]).ends().succeeded();
    assert!(std::fs::read_to_string(path).unwrap().starts_with("{\n"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
