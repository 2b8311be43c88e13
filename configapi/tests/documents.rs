//! Completions and manual pages.

use std::process::Command;

use crate::support::configapi;

#[test]
fn completions_are_written_for_every_shell_and_bash_understands_its_own() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = configapi(["completions", shell]).ends().succeeded().stdout;
        assert!(script.contains("healthcheck"), "{shell} does not know healthcheck");
    }
    let script = configapi(["completions", "bash"]).ends().succeeded().stdout;
    let checked = Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    configapi(["man", "--dir", path]).ends().succeeded();
    for command in configapi::command().get_subcommands() {
        let page = directory.path().join(format!("configapi-{}.1", command.get_name()));
        let page = std::fs::read_to_string(&page).unwrap();
        assert!(page.contains(".SH NAME"), "{page}");
        assert!(page.contains("Examples:"), "{page}");
    }
    let page = configapi(["man"]).ends().succeeded().stdout;
    assert!(page.starts_with(".ie"), "{page}");
}
