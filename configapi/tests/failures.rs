//! Failures say what to do, end with the documented exit codes, and never tell a value.

use crate::support::{Servers, Serving, configapi};

#[test]
fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let ended = configapi(["get", "a", "--query-url", "http://127.0.0.1:1"]).ends().failed_with(3);
    assert_eq!(ended.stdout, "");
    insta::assert_snapshot!(ended.stderr, @"
    error: there is no query server at http://127.0.0.1:1 (UNAVAILABLE)
      hint: `configapi serve` starts one; --query-url or CONFIGAPI_QUERY_URL says where it is
    ");
    let url = "http://127.0.0.1:1, http://127.0.0.1:2";
    let ended = configapi(["delete", "a", "--command-url", url]).ends().failed_with(3);
    insta::assert_snapshot!(ended.stderr, @"
    error: there is no command server at http://127.0.0.1:1, http://127.0.0.1:2 (UNAVAILABLE)
      hint: `configapi serve` starts one; --command-url or CONFIGAPI_COMMAND_URL says where it is
    ");
}

#[test]
fn a_port_of_another_server_is_a_setting_that_is_wrong() {
    let serving = Serving::start("memory:");
    let [command, query] = [&serving.command, &serving.query].map(|at| format!("http://{at}"));
    for url in [&command, &serving.gateway] {
        for arguments in [&["get", "a"][..], &["list"], &["watch"], &["status"]] {
            let ended = configapi(arguments.iter().copied()).arg("--query-url").arg(url).ends();
            let said = &ended.stderr;
            let what = format!("what answers at {url} is no query server");
            assert!(said.contains(&what) && said.contains("--query-url or"), "{ended:#?}");
            ended.failed_with(2);
        }
    }
    for url in [&query, &serving.gateway] {
        let ended = configapi(["set", "a", "1", "--command-url", url]).ends().failed_with(2);
        let what = format!("what answers at {url} is no command server");
        assert!(ended.stderr.contains(&what), "{ended:#?}");
        assert!(ended.stderr.contains("--command-url or CONFIGAPI_COMMAND_URL"), "{ended:#?}");
    }
}

#[test]
fn of_several_servers_one_that_answers_is_enough() {
    let servers = Servers::start();
    servers.set("a", "1");
    let urls = format!("http://127.0.0.1:1,http://{}", servers.query);
    let ended = servers.configapi(["get", "a", "--query-url", &urls, "--linearizable"]).ends();
    assert_eq!(ended.succeeded().stdout, "1");
}

#[test]
fn of_several_command_servers_one_that_serves_is_enough_for_the_status() {
    let servers = Servers::start();
    let status = |urls: &str| servers.configapi(["status", "-o", "json", "--command-url", urls]);
    let status = status(&format!("http://127.0.0.1:1,http://{}", servers.command));
    assert_eq!(status.ends().succeeded().json()["command_server"], "serving");
}

#[test]
fn a_query_server_is_not_taken_for_a_command_server_that_serves() {
    let servers = Servers::start();
    let url = format!("http://{}", servers.query);
    let status = servers.configapi(["status", "-o", "json", "--command-url", &url]);
    let said = status.ends().failed_with(3).json();
    assert_eq!(said["query_server"], "serving");
    assert_eq!(said["command_server"], format!("away: what answers at {url} is no command server"));
}

#[test]
fn a_history_of_which_nothing_is_wanted_is_not_said_to_be_none() {
    let servers = Servers::start();
    servers.set("a", "1");
    let history = servers.configapi(["history", "a", "--limit", "0", "--linearizable"]);
    assert!(!history.ends().succeeded().stderr.contains("never existed"));
}

#[test]
fn what_cannot_be_meant_ends_with_2() {
    for arguments in [
        &["get"][..],
        &["get", "a", "--at", "yesterday"],
        &["get", "a", "--token", "1"],
        &["get", "a", "--token", "1-1", "--linearizable"],
        &["get", "a", "--query-url", "https://127.0.0.1:1"],
        &["get", "a", "--query-url", "127.0.0.1:1"],
        &["get", "a", "--timeout", "10"],
        &["set", "a"],
        &["set", "a", "1", "--file", "b"],
        &["watch", "--from", "soon"],
        &["import", "--show", "10001", "a"],
        &["healthcheck", "--url", "tcp://127.0.0.1:1"],
        &["restore", "a", "--version", "1", "--position", "2"],
    ] {
        let ended = configapi(arguments.iter().copied()).ends().failed_with(2);
        assert!(ended.stderr.contains("error:"), "{ended:#?}");
    }
}

#[test]
fn a_url_with_a_user_is_refused_and_its_password_not_repeated() {
    for url in [
        "http://user:s3cret@127.0.0.1:1",
        "http://s3cret@127.0.0.1:1",
        "grpc://user:s3cret@127.0.0.1:1",
        "https://user:s3cret@127.0.0.1:1",
        "user:s3cret@127.0.0.1:1",
        "http://user:s3/c@s3cret#@127.0.0.1:1",
        "http://user:s3cret@127.0.0.1:1,http://127.0.0.1:2",
        "http://127.0.0.1:2,http://user:s3cret@127.0.0.1:1",
    ] {
        let by_setting = [
            configapi(["get", "a"]).env("CONFIGAPI_QUERY_URL", url),
            configapi(["delete", "a"]).env("CONFIGAPI_COMMAND_URL", url),
        ];
        let by_flag =
            [configapi(["get", "a", "--query-url", url]), configapi(["healthcheck", "--url", url])];
        for started in by_setting.into_iter().chain(by_flag) {
            let ended = started.ends().failed_with(2);
            assert!(ended.stderr.contains("without a user"), "{ended:#?}");
            assert!(!ended.stderr.contains("s3"), "{ended:#?}");
        }
    }
    let ended = configapi(["get", "a", "--query-url", "127.0.0.1:1"]).ends().failed_with(2);
    assert!(ended.stderr.contains("'127.0.0.1:1' for '--query-url <URL>'"), "{ended:#?}");
    // Behind the place it is a part of the path like any other.
    configapi(["healthcheck", "--url", "http://127.0.0.1:1/a@b"]).ends().failed_with(1);
}

#[test]
fn a_name_that_cannot_be_is_explained() {
    let servers = Servers::start();
    let ended = servers.configapi(["set", "a//b", "s3cret"]).ends().failed_with(1);
    assert!(ended.stderr.contains("INVALID_ARGUMENT"), "{ended:#?}");
    assert!(ended.stderr.contains("name"), "{ended:#?}");
    assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
}

#[test]
fn what_does_not_exist_is_told_with_a_hint() {
    let servers = Servers::start();
    let ended = servers.configapi(["get", "nothing"]).ends().failed_with(1);
    assert!(ended.stderr.contains("CONFIG_NOT_FOUND"), "{ended:#?}");
    assert!(ended.stderr.contains("--namespace"), "{ended:#?}");
}

#[test]
fn a_token_of_another_epoch_is_told_apart() {
    let servers = Servers::start();
    servers.set("a", "1");
    let ended = servers.configapi(["get", "a", "--token", "9-1"]).ends().failed_with(3);
    assert!(ended.stderr.contains("LOG_CHANGED"), "{ended:#?}");
}

#[test]
fn waiting_ends_with_the_timeout() {
    let servers = Servers::start();
    let ended = servers
        .configapi(["get", "a", "--token", "1-99", "--timeout", "300ms"])
        .ends()
        .failed_with(3);
    assert!(ended.stdout.is_empty(), "{ended:#?}");
}

#[test]
fn a_directory_without_room_for_what_is_piped_in_is_named() {
    let restore = ["restore-backup", "-", "--store", "sqlite:/nowhere/log.db"];
    let ended = configapi(restore).env("TMPDIR", "/nowhere/at/all").stdin("text").ends();
    let ended = ended.failed_with(1);
    assert!(
        ended.stderr.contains("cannot keep stdin for a while in /nowhere/at/all"),
        "{ended:#?}"
    );
    assert!(ended.stderr.contains("TMPDIR"), "{ended:#?}");
    // A disk that gets full on the way, as far as this process can tell.
    let directory = tempfile::tempdir().unwrap();
    let limited = "trap '' XFSZ; ulimit -f 1; head -c 1000000 /dev/zero | \"$0\" \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_configapi")]).args(restore);
    let output = command.env("TMPDIR", directory.path()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let place = format!("cannot keep stdin for a while in {}", directory.path().display());
    assert!(stderr.contains(&place), "{stderr}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let ended = configapi(["set", "a", "--file", "/nowhere/at/all"]).ends().failed_with(1);
    assert!(ended.stderr.contains("/nowhere/at/all"), "{ended:#?}");
    let ended = configapi(["set", "a", "-"]).stdin(b"\xff".to_vec()).ends().failed_with(1);
    assert!(ended.stderr.contains("not UTF-8"), "{ended:#?}");
    let ended = configapi(["set", "a", "-"]).stdin(vec![b'x'; 1_000_001]).ends().failed_with(1);
    assert!(ended.stderr.contains("longer than 1000000 bytes"), "{ended:#?}");
}
