//! Dependencies point inward. What a crate may depend on, in the house and outside of it, is said
//! here and nowhere else.

use std::collections::BTreeSet;
use std::fs;

use crate::tree::{root, rust_files};

/// Each room, and the rooms it may see.
const ROOMS: &[(&str, &[&str])] = &[
    ("shared/domain", &[]),
    ("shared/event-log", &["domain"]),
    ("shared/event-log-postgres", &["domain", "event-log"]),
    ("shared/event-log-sqlite", &["domain", "event-log"]),
    ("shared/store", &["domain", "event-log", "event-log-postgres", "event-log-sqlite"]),
    ("shared/proto", &[]),
    ("shared/runtime", &["proto"]),
    ("command-service", &["domain", "event-log", "store", "proto", "runtime"]),
    ("query-service", &["domain", "event-log", "store", "proto", "runtime"]),
    ("gateway", &["proto", "runtime"]),
    (
        "configapi",
        &[
            "domain",
            "event-log",
            "store",
            "proto",
            "runtime",
            "command-service",
            "query-service",
            "gateway",
        ],
    ),
    ("acceptance", &["proto"]),
    ("bench", &["proto", "runtime"]),
];

/// What the domain may never know: I/O, clocks, ids, serialisation, the wire.
const NOT_IN_THE_DOMAIN: &[&str] =
    &["serde", "tokio", "sqlx", "tonic", "prost", "axum", "uuid", "jiff", "chrono", "rand"];

/// The names under `[dependencies]` of a crate's manifest.
fn dependencies(room: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
    let mut is_dependencies = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_dependencies = line.trim() == "[dependencies]";
        } else if is_dependencies && !line.trim().is_empty() && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap();
            names.insert(name.to_owned());
        }
    }
    names
}

#[test]
fn every_room_sees_only_the_rooms_it_may_see() {
    for (room, allowed) in ROOMS {
        for dependency in dependencies(room) {
            if let Some(name) = dependency.strip_prefix("configapi-") {
                assert!(allowed.contains(&name), "{room} must not depend on {name}");
            }
        }
    }
}

/// The one binary may see every room, but only to serve and for operators, who have the store.
#[test]
fn client_commands_see_the_wire_and_the_runtime_only() {
    let with_the_store = ["configapi/src/operator/", "configapi/src/serve.rs"];
    let is_of_a_client = |path: &str| {
        path.starts_with("configapi/src/") && !with_the_store.iter().any(|it| path.starts_with(it))
    };
    let clients: Vec<_> =
        rust_files().into_iter().filter(|text| is_of_a_client(&text.path)).collect();
    assert!(clients.len() > 30, "where are the client commands?");
    for text in clients {
        let rooms = text.content.split("configapi_").skip(1);
        let rooms = rooms.filter_map(|rest| rest.split_once("::").map(|(room, _)| room));
        let unseemly: BTreeSet<_> = rooms
            .filter(|room| room.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
            .filter(|room| !matches!(*room, "proto" | "runtime"))
            .collect();
        assert!(unseemly.is_empty(), "{} must not see {unseemly:?}", text.path);
    }
}

#[test]
fn every_room_of_the_workspace_is_known_here() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let members: BTreeSet<_> =
        members.split(',').map(|m| m.trim().trim_matches('"')).filter(|m| !m.is_empty()).collect();
    let known: BTreeSet<_> = ROOMS.iter().map(|(room, _)| *room).collect();
    assert_eq!(members, known);
}

#[test]
fn the_domain_is_pure() {
    let dependencies = dependencies("shared/domain");
    for impure in NOT_IN_THE_DOMAIN {
        assert!(!dependencies.contains(*impure), "the domain must not know {impure}");
    }
    let sources = root().join("shared/domain/src");
    for file in fs::read_dir(sources).unwrap() {
        let path = file.unwrap().path();
        let source = fs::read_to_string(&path).unwrap();
        for impure in ["SystemTime", "Instant::now", "std::fs", "std::net", "std::env", "async "] {
            assert!(!source.contains(impure), "{} uses {impure}", path.display());
        }
    }
}
