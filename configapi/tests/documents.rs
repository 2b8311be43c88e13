//! Completions and manual pages, and what the documents say of the same.

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

#[test]
fn the_exit_codes_are_the_same_in_the_help_and_in_the_documents() {
    let is_code = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let help = configapi(["--help"]).ends().succeeded().stdout;
    let (_, told) = help.split_once("Exit codes:").unwrap();
    let told = told.lines().filter_map(|line| line.split_whitespace().next());
    let told: Vec<_> = told.filter(|word| is_code(word)).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/troubleshooting.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (_, table) = document.split_once("## Exit codes").unwrap();
    let (table, _) = table.split_once("## ").unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let documented: Vec<_> = cells.filter(|cell| is_code(cell)).collect();
    assert_eq!(told, documented);
    assert_eq!(told, ["0", "1", "2", "3", "70", "130"]);
}
