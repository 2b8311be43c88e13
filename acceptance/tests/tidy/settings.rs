//! The list of all variables that the programs tell from misspelt ones is the one that their settings
//! declare, and that documents, scripts and units name.

use std::collections::BTreeSet;
use std::fs;

use crate::tree::{Text, root, rust_files, texts};

const LIST: &str = "shared/runtime/src/variables.rs";

/// The variables in a constant of the list.
fn listed(constant: &str) -> BTreeSet<String> {
    let list = fs::read_to_string(root().join(LIST)).unwrap();
    let from = list.find(&format!("const {constant}:")).unwrap();
    let (constant, _) = list[from..].split_once("];").unwrap();
    let names: BTreeSet<_> = named(constant).collect();
    assert!(names.len() > 5, "{LIST} was not understood");
    names
}

/// The variables in a text. One that ends with `_` stands for several.
fn named(text: &str) -> impl Iterator<Item = String> {
    text.match_indices("CONFIGAPI_").map(|(at, _)| {
        let is_of_name = |it: &char| it.is_ascii_uppercase() || it.is_ascii_digit() || *it == '_';
        text[at..].chars().take_while(is_of_name).collect()
    })
}

/// The sources of what users are given.
fn sources() -> impl Iterator<Item = Text> {
    let rust = rust_files().into_iter();
    rust.filter(|text| text.path.contains("/src/") && !text.path.starts_with("bench/"))
}

#[test]
fn the_list_of_settings_is_what_the_programs_declare() {
    let declared: BTreeSet<_> = sources()
        .flat_map(|text| {
            let arguments = text.content.split("env = \"").skip(1);
            let names = arguments.filter_map(|rest| rest.split('"').next().map(str::to_owned));
            names.filter(|name| name.starts_with("CONFIGAPI_")).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(listed("SETTINGS"), declared, "left: {LIST}, right: declared with `env = \"…\"`");
}

#[test]
fn the_list_of_settings_is_what_the_readme_names() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (groups, names): (BTreeSet<_>, BTreeSet<_>) =
        named(&readme).partition(|name| name.ends_with('_'));
    let is_in_a_group = |name: &String| groups.iter().any(|group| name.starts_with(group.as_str()));
    let (of_groups, by_itself): (BTreeSet<_>, BTreeSet<_>) =
        listed("SETTINGS").into_iter().partition(is_in_a_group);
    assert_eq!(by_itself, names, "left: {LIST}, right: README.md");
    for group in groups {
        assert!(of_groups.iter().any(|name| name.starts_with(&group)), "{group} is none");
    }
}

#[test]
fn no_document_script_unit_or_program_names_a_variable_that_is_unknown() {
    let (settings, ours) = (listed("SETTINGS"), listed("OF_DEVELOPMENT"));
    let is_known = |name: &String| {
        settings.contains(name)
            || ours.iter().any(|of| name == of || of.ends_with('_') && name.starts_with(of))
            || name.ends_with('_') && settings.iter().any(|it| it.starts_with(name))
    };
    let mut unknown = Vec::new();
    // Tests make names up.
    for text in texts().into_iter().filter(|text| !text.path.contains("tests/")) {
        let names = named(&text.content).filter(|name| !is_known(name));
        unknown.extend(names.map(|name| format!("{}: {name}", text.path)));
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}
