//! Which `CONFIGAPI_…` variables there are, and which are set that nobody reads: mostly one that is
//! misspelt, so that a default is in its place. Must never look at a value, which may be a secret.

use std::{collections::BTreeSet, ffi::OsString, fmt};

/// What the names of all of them begin with.
const PREFIX: &str = "CONFIGAPI_";

/// The settings of all programs, in the order of the alphabet. One that another program reads is none
/// that nobody knows: they are often set for several programs at once.
pub const SETTINGS: [&str; 35] = [
    "CONFIGAPI_ACTOR",
    "CONFIGAPI_ADMIN_ADDR",
    "CONFIGAPI_AUDIT_CHECKPOINT",
    "CONFIGAPI_AUDIT_FILE",
    "CONFIGAPI_AUDIT_INCLUDE_VALUES",
    "CONFIGAPI_AUDIT_KEEP",
    "CONFIGAPI_AUDIT_POST",
    "CONFIGAPI_AUDIT_POST_AUTHORIZATION_FILE",
    "CONFIGAPI_AUDIT_POST_TIMEOUT",
    "CONFIGAPI_AUDIT_ROTATE_BYTES",
    "CONFIGAPI_COMMAND_ADDR",
    "CONFIGAPI_COMMAND_URL",
    "CONFIGAPI_GATEWAY_ADDR",
    "CONFIGAPI_GATEWAY_CORS_ORIGINS",
    "CONFIGAPI_GATEWAY_HOSTS",
    "CONFIGAPI_GATEWAY_MAX_REQUESTS",
    "CONFIGAPI_GATEWAY_MAX_WATCHES",
    "CONFIGAPI_GATEWAY_TIMEOUT",
    "CONFIGAPI_LOG",
    "CONFIGAPI_LOG_FORMAT",
    "CONFIGAPI_NAMESPACE",
    "CONFIGAPI_OTLP_ENDPOINT",
    "CONFIGAPI_OTLP_SAMPLE_RATIO",
    "CONFIGAPI_OUTPUT",
    "CONFIGAPI_QUERY_ADDR",
    "CONFIGAPI_QUERY_MAX_WATCHERS",
    "CONFIGAPI_QUERY_URL",
    "CONFIGAPI_REASON",
    "CONFIGAPI_SNAPSHOT_DIR",
    "CONFIGAPI_SNAPSHOT_EVENTS",
    "CONFIGAPI_SNAPSHOT_INTERVAL",
    "CONFIGAPI_STOP_DELAY",
    "CONFIGAPI_STORE",
    "CONFIGAPI_TIMEOUT",
    "CONFIGAPI_TOKEN",
];

/// What those who work on `ConfigApi` set beside them: for its tests, scripts and examples. One that ends
/// with `_` stands for all that begin like it.
pub const OF_DEVELOPMENT: [&str; 8] = [
    "CONFIGAPI_BENCH_",
    "CONFIGAPI_BIN",
    "CONFIGAPI_FAILPOINTS",
    "CONFIGAPI_PROFILE_INTO",
    "CONFIGAPI_PROTO",
    "CONFIGAPI_SLOW_TESTS",
    "CONFIGAPI_TEST_",
    "CONFIGAPI_WATCH_ADDR",
];

/// How many are named.
const MAX_NAMED: usize = 5;
/// How much of a name is repeated.
const MAX_CHARS: usize = 64;
/// By how many typing errors one may differ from the setting that is meant.
const MAX_ERRORS: usize = 2;

/// Variables that are set and nobody reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    /// In the order of the alphabet.
    first: Vec<Misspelt>,
    more: usize,
}

/// One of them, and the setting that is perhaps meant.
#[derive(Debug, PartialEq, Eq)]
struct Misspelt {
    name: String,
    nearest: Option<&'static str>,
}

/// Those of this process.
pub fn unknown() -> Option<Unknown> {
    unknown_among(std::env::vars_os().map(|(name, _)| name))
}

/// Those among these names, if there is one.
pub fn unknown_among(names: impl IntoIterator<Item = OsString>) -> Option<Unknown> {
    let names: BTreeSet<_> = names
        .into_iter()
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(PREFIX))
        .collect();
    let mut unknown = names.iter().filter(|name| !is_known(name) && !is_of_a_service(name, &names));
    let first: Vec<_> = unknown.by_ref().take(MAX_NAMED).map(|name| Misspelt::of(name)).collect();
    (!first.is_empty()).then(|| Unknown { first, more: unknown.count() })
}

fn is_known(name: &str) -> bool {
    SETTINGS.contains(&name)
        || OF_DEVELOPMENT
            .iter()
            .any(|ours| name == *ours || (ours.ends_with('_') && name.starts_with(ours)))
}

/// Whether Kubernetes has put it there for a Service of the namespace that is called `configapi` or
/// `configapi-query` or the like. It does so in every container, with the host of the Service always, so a
/// `…_GATEWAY_PORT` that somebody made up is told from its own.
fn is_of_a_service(name: &str, names: &BTreeSet<String>) -> bool {
    let services = names.iter().filter_map(|name| name.strip_suffix("_SERVICE_HOST"));
    services.filter_map(|service| name.strip_prefix(service)).any(|rest| {
        matches!(rest, "_SERVICE_HOST" | "_SERVICE_PORT" | "_PORT")
            || rest.starts_with("_SERVICE_PORT_")
            || rest
                .strip_prefix("_PORT_")
                .is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_digit()))
    })
}

impl Misspelt {
    fn of(name: &str) -> Self {
        // Somebody may have put anything into it.
        let shown = name.escape_default().take(MAX_CHARS).collect();
        let typed = name.to_ascii_uppercase();
        let near =
            SETTINGS.into_iter().filter(|known| known.len().abs_diff(typed.len()) <= MAX_ERRORS);
        let near = near.map(|known| (errors(typed.as_bytes(), known.as_bytes()), known));
        let nearest = near.min().filter(|(errors, known)| is_near(*errors, known));
        Self { name: shown, nearest: nearest.map(|(_, known)| known) }
    }
}

/// A short name with two errors in it may mean anything.
fn is_near(errors: usize, known: &str) -> bool {
    errors <= MAX_ERRORS.min((known.len() - PREFIX.len()) / 3)
}

/// How many letters are missing, too many, wrong, or in the place of their neighbour.
fn errors(typed: &[u8], meant: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=meant.len()).collect();
    for (row, letter) in typed.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, wanted) in meant.iter().enumerate() {
            let wrong = last[column] + usize::from(letter != wanted);
            let mut fewest = wrong.min(last[column + 1] + 1).min(next[column] + 1);
            let is_swapped =
                row > 0 && column > 0 && typed[row - 1] == *wanted && meant[column - 1] == *letter;
            if is_swapped {
                fewest = fewest.min(before[column - 1] + 1);
            }
            next.push(fewest);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[meant.len()]
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Misspelt { name, nearest }) in self.first.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{name}")?;
            if let Some(nearest) = nearest {
                write!(f, " (is it {nearest}?)")?;
            }
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}
