//! Every file says what it is for, and none grows without end.

use crate::tree::{rust_files, texts};

/// Files are rooms: one that needs more lines than this is two.
const MAX_LINES: usize = 400;

#[test]
fn every_rust_file_begins_with_what_it_is_for() {
    let silent: Vec<_> = rust_files()
        .into_iter()
        .filter(|text| !text.content.starts_with("//! "))
        .map(|text| text.path)
        .collect();
    assert!(silent.is_empty(), "these files do not begin with `//! …`: {silent:#?}");
}

#[test]
fn no_rust_file_grows_without_end() {
    let long: Vec<_> = rust_files()
        .into_iter()
        .map(|text| (text.content.lines().count(), text.path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "these files have over {MAX_LINES} lines: {long:#?}");
}

#[test]
fn nothing_is_left_for_later_in_the_code() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let later: Vec<_> = rust_files()
        .into_iter()
        .filter(|text| words.iter().any(|word| text.content.contains(word)))
        .map(|text| text.path)
        .collect();
    assert!(later.is_empty(), "these files leave something for later: {later:#?}");
}

#[test]
fn no_path_of_somebodys_machine_is_in_the_repository() {
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/home", "/runner")];
    let found: Vec<_> = texts()
        .into_iter()
        .filter(|text| paths.iter().any(|path| text.content.contains(path)))
        .map(|text| text.path)
        .collect();
    assert!(found.is_empty(), "these files name paths of a machine: {found:#?}");
}
