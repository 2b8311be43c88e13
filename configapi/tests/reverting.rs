//! Putting back whole parts of what there is: to a moment, as one change, and over nobody's head.

use serde_json::{Value, json};

use crate::support::{Ended, Servers};

fn run(servers: &Servers, arguments: &[&str]) -> Ended {
    servers.configapi(arguments.iter().copied()).ends()
}

fn done(servers: &Servers, arguments: &[&str]) -> Ended {
    run(servers, arguments).succeeded()
}

/// All configs of all namespaces, with values.
fn everything(servers: &Servers) -> Vec<(String, String, String)> {
    let list = servers.read(["list", "-A", "-o", "json"]).json();
    let text = |config: &Value, member: &str| config[member].as_str().unwrap_or("").to_owned();
    let config = |it| {
        (
            format!("{}/{}", text(it, "namespace"), text(it, "name")),
            text(it, "value"),
            text(it, "content_type"),
        )
    };
    list.as_array().unwrap().iter().map(config).collect()
}

/// Some configs, and the token of the moment at which they were well. Then somebody changes them.
fn spoiled() -> (Servers, String, Vec<(String, String, String)>) {
    let servers = Servers::start();
    done(&servers, &["set", "app/a", "1", "--content-type", "text/plain"]);
    servers.set("app/b", "2");
    servers.set("app/c", "0");
    servers.set("app/c", "3");
    servers.set("app/same", "4");
    servers.set("other/a", "5");
    let moment = servers.set("app/gone-before", "6");
    done(&servers, &["set", "app/a", "1", "-n", "staging"]);
    let before = everything(&servers);
    servers.set("app/a", "{}");
    done(&servers, &["delete", "app/b"]);
    servers.set("app/c", "33");
    servers.set("app/c", "333");
    servers.set("app/same", "44");
    servers.set("app/same", "4");
    servers.set("app/new", "7");
    servers.set("other/a", "55");
    (servers, moment, before)
}

#[test]
fn what_differs_from_a_moment_is_put_back_as_one_change() {
    let (servers, moment, before) = spoiled();
    let revert = ["revert", &moment, "--prefix", "app/", "--reason", "it was wrong"];
    let reverted = done(&servers, &revert);
    let differences: Vec<_> = reverted.stdout.lines().take(4).collect();
    assert_eq!(
        differences,
        [
            "~ default/app/a = {} -> 1",
            "+ default/app/b = 2",
            "~ default/app/c = 333 -> 3",
            "- default/app/new = 7",
        ]
    );
    let mut expected = before;
    for config in &mut expected {
        if config.0 == "default/other/a" {
            "55".clone_into(&mut config.1);
        }
    }
    assert_eq!(everything(&servers), expected);
    // What came between is still there, and so is who put it back and why.
    let history = servers.read(["history", "app/c", "-o", "json"]).json();
    let values: Vec<_> = history.as_array().unwrap().iter().map(|it| &it["value"]).collect();
    assert_eq!(values, ["0", "3", "33", "333", "3"]);
    assert_eq!(history[4]["reason"], "it was wrong");
    // All of them are one change.
    let part = |name: &str| servers.read(["history", name, "-o", "json"]).json();
    let ids: Vec<_> = ["app/a", "app/b", "app/c", "app/new"]
        .map(|name| part(name).as_array().unwrap().last().unwrap()["request_id"].clone())
        .into();
    assert!(ids[0].is_string() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn a_second_time_nothing_differs_and_nothing_is_written() {
    let (servers, moment, _) = spoiled();
    let revert = ["revert", &moment, "-o", "json"];
    let first = done(&servers, &revert).json();
    let token = first["token"].clone();
    assert_eq!(
        first,
        json!({"restored": 4, "deleted": 1, "written": 5, "as_one_change": true, "token": token})
    );
    let second = done(&servers, &revert).json();
    assert_eq!((&second["written"], &second["token"]), (&0.into(), &Value::Null));
}

#[test]
fn a_dry_run_shows_what_would_be_done_and_writes_nothing() {
    let (servers, moment, _) = spoiled();
    let spoilt = everything(&servers);
    let dry = done(&servers, &["revert", &moment, "--dry-run", "--show", "2", "-o", "json"]);
    assert_eq!(dry.json()["would_write"], 5);
    assert!(dry.stderr.contains("~ default/app/a = {} -> 1\n+ default/app/b = 2\n"), "{dry:#?}");
    assert!(dry.stderr.contains("… and 3 more differences"), "{dry:#?}");
    assert!(dry.stderr.contains("nothing was written"), "{dry:#?}");
    assert_eq!(everything(&servers), spoilt);
}

#[test]
fn all_namespaces_are_put_back_together() {
    let (servers, moment, before) = spoiled();
    let question = servers.configapi(["revert", &moment, "--all-namespaces"]).typed("no\n").ends();
    assert!(
        question.stderr.contains("Put back 6 configs in all namespaces? [y/N]"),
        "{question:#?}"
    );
    assert!(question.failed_with(1).stderr.contains("nothing was written"));
    done(&servers, &["revert", &moment, "--all-namespaces"]);
    let mut expected = before;
    // It came after that moment.
    expected.retain(|config| config.0 != "staging/app/a");
    assert_eq!(everything(&servers), expected);
}

/// Each of these would be undone unseen, for what was shown was about something else.
#[test]
fn what_somebody_changes_meanwhile_is_not_undone() {
    let meanwhile: [&[&str]; 3] =
        [&["set", "app/a", "mine"], &["restore", "app/b"], &["set", "app/new", "mine"]];
    for change in meanwhile {
        let (servers, moment, _) = spoiled();
        let mut revert = servers.configapi(["revert", &moment]).typed("").starts();
        // What differs is known by then.
        assert!(revert.line().contains("app/a"));
        done(&servers, change);
        let now = everything(&servers);
        revert.types("y\n");
        let refused = revert.ends().failed_with(1);
        assert!(refused.stderr.contains(&format!("default/{}", change[1])), "{refused:#?}");
        assert!(refused.stderr.contains("VERSION_CONFLICT"), "{refused:#?}");
        assert!(refused.stderr.contains("none of them was put back"), "{refused:#?}");
        assert_eq!(everything(&servers), now);
    }
}

#[test]
fn more_than_one_change_holds_are_several() {
    let servers = Servers::start();
    let moment = servers.set("kept", "1");
    let file: serde_json::Map<_, _> =
        (0..1_200).map(|number| (format!("many/{number}"), json!("1"))).collect();
    let import = servers.configapi(["import", "-"]).stdin(Value::Object(file).to_string());
    import.ends().succeeded();
    let question = servers.configapi(["revert", &moment]).typed("\n").ends().failed_with(1);
    assert!(question.stderr.contains("1200 configs in the namespace default, with 2 changes?"));
    let report = done(&servers, &["revert", &moment, "-o", "json"]).json();
    assert_eq!((&report["deleted"], &report["as_one_change"]), (&1_200.into(), &false.into()));
    assert_eq!(report["written"], 1_200);
    assert_eq!(everything(&servers).len(), 1);
}

/// Their values are, of which a server records no more than so much with one change.
#[test]
fn what_is_large_is_put_back_by_several_changes_too() {
    let servers = Servers::start();
    let moment = servers.set("kept", "1");
    let value = "1".repeat(900_000);
    for number in 0..10 {
        let set = servers.configapi(["set", &format!("large/{number}"), "-"]);
        set.stdin(value.clone()).ends().succeeded();
    }
    let report = done(&servers, &["revert", &moment, "-o", "json"]).json();
    assert_eq!((&report["written"], &report["as_one_change"]), (&10.into(), &false.into()));
    assert_eq!(everything(&servers).len(), 1);
}

#[test]
fn nobody_is_asked_who_said_yes_or_has_nothing_put_back() {
    let (servers, moment, before) = spoiled();
    let at_terminal = |more: &[&str]| {
        let arguments = ["revert", &moment, "-o", "json"].into_iter();
        servers.configapi(arguments.chain(more.iter().copied())).typed("\u{4}").ends().succeeded()
    };
    let tries =
        [(&["--dry-run"][..], "would_write", 5), (&["--yes"], "written", 5), (&[], "written", 0)];
    for (more, counted, count) in tries {
        let ended = at_terminal(more);
        assert!(!ended.stderr.contains("[y/N]"), "{ended:#?}");
        assert_eq!(ended.json()[counted], count);
    }
    assert_eq!(everything(&servers), before);
}

#[test]
fn a_moment_that_is_not_there_is_refused() {
    let (servers, ..) = spoiled();
    let spoilt = everything(&servers);
    for (moment, code) in [("1-9999", 3), ("2-3", 3), ("yesterday", 2)] {
        let refused = run(&servers, &["revert", moment, "--timeout", "300ms"]);
        assert_eq!(refused.code, code, "{moment}: {refused:#?}");
    }
    assert_eq!(everything(&servers), spoilt);
}
