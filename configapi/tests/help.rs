//! The help is the reference: all of it is one snapshot, and its examples can be typed.

use std::fmt::Write as _;

use crate::support::configapi;

fn commands() -> Vec<String> {
    let command = configapi::command();
    let names = command.get_subcommands().map(|sub| sub.get_name().to_owned());
    names.filter(|name| name != "help").collect()
}

fn help_of(arguments: &[&str]) -> String {
    configapi(arguments.iter().copied()).arg("--help").ends().succeeded().stdout
}

#[test]
fn the_whole_reference_is_as_reviewed() {
    let mut reference = help_of(&[]);
    for name in commands() {
        writeln!(reference, "\n================ configapi {name}\n").unwrap();
        reference.push_str(&help_of(&[&name]));
    }
    insta::assert_snapshot!(reference);
}

#[test]
fn every_command_shows_examples_and_each_can_be_typed() {
    let mut examples = 0;
    for name in commands() {
        let help = help_of(&[&name]);
        let (_, shown) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{name}: none"));
        for line in shown.lines().map(str::trim).filter(|line| !line.is_empty()) {
            for command in line.split(['|', ';']).map(str::trim) {
                let Some(at) = start_of(command) else { continue };
                let words = words(&command[at..]);
                let parsed = configapi::command().try_get_matches_from(&words);
                assert!(parsed.is_ok(), "{command}: {words:?}: {}", parsed.unwrap_err());
                examples += 1;
            }
        }
    }
    assert!(examples > 40, "only {examples} examples were found");
}

/// Where the binary is called, as a word of its own.
fn start_of(command: &str) -> Option<usize> {
    let mut calls = command.match_indices("configapi ").map(|(at, _)| at);
    calls.find(|at| *at == 0 || command[..*at].ends_with(' '))
}

/// A line as a shell would split it, up to where its input comes from or its output goes; what it would run within is one
/// word.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '<' | '>') => break,
            (None, ' ') if !word.is_empty() => words.push(std::mem::take(&mut word)),
            (None, ' ') => {}
            (_, c) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    for word in &mut words {
        if word.starts_with("$(") {
            "1-1".clone_into(word);
        }
    }
    words
}

#[test]
fn without_arguments_the_help_is_shown_and_the_exit_code_says_usage() {
    let ended = configapi([]).ends().failed_with(2);
    assert!(ended.stderr.contains("Usage: configapi <COMMAND>"), "{ended:#?}");
}

#[test]
fn the_version_is_told() {
    let ended = configapi(["--version"]).ends().succeeded();
    assert_eq!(ended.stdout, format!("configapi {}\n", env!("CARGO_PKG_VERSION")));
}
