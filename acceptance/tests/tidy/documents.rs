//! The map names exactly the rooms that exist, and links lead somewhere.

use std::collections::BTreeSet;
use std::fs;

use crate::tree::{root, texts};

#[test]
fn the_map_names_exactly_the_rooms_that_exist() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let named: BTreeSet<String> = map
        .lines()
        .filter_map(|line| line.strip_prefix("| [`"))
        .filter_map(|line| line.split("`]").next())
        .map(|room| room.trim_end_matches('/').to_owned())
        .collect();
    let mut rooms: BTreeSet<String> = BTreeSet::new();
    for folder in ["", "shared/"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_room = entry.path().is_dir()
                && !name.starts_with('.')
                && !matches!(&*name, "target" | "data" | "shared");
            if is_room {
                rooms.insert(format!("{folder}{name}"));
            }
        }
    }
    assert_eq!(named, rooms, "left: named in ARCHITECTURE.md, right: there");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut dead = Vec::new();
    for text in texts().into_iter().filter(|text| text.is_a("md")) {
        let folder = root().join(&text.path).parent().unwrap().to_owned();
        for link in text.content.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            let is_local = !path.is_empty() && !path.contains("://") && !path.contains(' ');
            if is_local && !folder.join(path).exists() {
                dead.push(format!("{} → {link}", text.path));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}
