//! The log as it was left behind, read straight from the database, and what it says was true at
//! each position. Written from the description of the stored form, not with the code under test.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::history::{Place, Selection};

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where in the log.
    pub position: u64,
    /// Where in its config's stream.
    pub version: u64,
    /// Microseconds since 1970.
    pub recorded_at_us: i64,
    /// Which event of its command, counted from 0.
    pub part_index: u32,
    /// Of how many.
    pub part_size: u32,
    /// The version of the payload's form.
    pub schema_version: u32,
    /// `namespace/name`.
    pub stream: String,
    /// What kind of event.
    pub event_type: String,
    /// The request id, on the first event of a command.
    pub request_id: Option<String>,
    /// JSON: what happened.
    pub payload: String,
    /// JSON: who, why, under which ids.
    pub metadata: String,
    /// The hash of the row before and of this one.
    pub hash: [u8; 32],
}

impl Row {
    /// The hash that this row must have after a row with the hash `previous`.
    pub fn hash_after(&self, previous: [u8; 32]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update(self.position.to_be_bytes());
        hasher.update(self.version.to_be_bytes());
        hasher.update(self.recorded_at_us.to_be_bytes());
        hasher.update(self.part_index.to_be_bytes());
        hasher.update(self.part_size.to_be_bytes());
        hasher.update(self.schema_version.to_be_bytes());
        let request_id = self.request_id.as_deref().unwrap_or_default();
        for text in [&self.stream, &self.event_type, request_id, &self.payload, &self.metadata] {
            hasher.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.finalize().into()
    }

    /// The hash in hexadecimal.
    pub fn hash_text(&self) -> String {
        hexadecimal(&self.hash)
    }

    /// Whether its command ends here.
    pub fn ends_command(&self) -> bool {
        self.part_index + 1 == self.part_size
    }

    /// What happened; none if the row cannot be understood.
    pub fn change(&self) -> Option<Change> {
        let payload: Json = serde_json::from_str(&self.payload).ok()?;
        let text = |name: &str| payload.get(name)?.as_str().map(str::to_owned);
        Some(match self.event_type.as_str() {
            "ConfigValueSet" => Change::Set { value: text("value")?, old_value: text("old_value") },
            "ConfigValueDeleted" => Change::Deleted { deleted_value: text("deleted_value")? },
            "ConfigValueRestored" => Change::Restored {
                value: text("value")?,
                old_value: text("old_value"),
                restored_version: payload.get("restored_version")?.as_u64()?,
            },
            _ => return None,
        })
    }

    /// The id of the request that the row belongs to, whichever part of it the row is.
    pub fn request(&self) -> Option<String> {
        let metadata: Json = serde_json::from_str(&self.metadata).ok()?;
        metadata.get("request_id")?.as_str().map(str::to_owned)
    }
}

/// Bytes as text.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a row says happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A config got a value.
    Set {
        /// The value.
        value: String,
        /// The value before.
        old_value: Option<String>,
    },
    /// A config was deleted.
    Deleted {
        /// The value before.
        deleted_value: String,
    },
    /// A config was brought or rolled back.
    Restored {
        /// The value.
        value: String,
        /// The value before.
        old_value: Option<String>,
        /// The version that the value is from.
        restored_version: u64,
    },
}

impl Change {
    /// The value that the config has now; none if it was deleted.
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Set { value, .. } | Self::Restored { value, .. } => Some(value),
            Self::Deleted { .. } => None,
        }
    }
}

/// From which position on an epoch counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: u64,
    /// Its first position.
    pub first_position: u64,
}

/// The log, with what can be looked up in it.
#[derive(Debug)]
pub struct Log {
    rows: Vec<Row>,
    epochs: Vec<EpochStart>,
    by_request: HashMap<String, Vec<usize>>,
    by_key: BTreeMap<String, Vec<Moment>>,
}

/// What a config was from one position on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The position.
    pub position: u64,
    /// Its version.
    pub version: u64,
    /// Its value; none if it was deleted.
    pub value: Option<String>,
}

impl Log {
    /// Takes the rows, ordered by position and beginning with genesis, and the epochs.
    pub fn new(rows: Vec<Row>, epochs: Vec<EpochStart>) -> Self {
        let mut by_request: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_key: BTreeMap<String, Vec<Moment>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate().skip(1) {
            if let Some(request) = row.request() {
                by_request.entry(request).or_default().push(at);
            }
            let value = row.change().and_then(|change| change.value().map(str::to_owned));
            by_key.entry(row.stream.clone()).or_default().push(Moment {
                position: row.position,
                version: row.version,
                value,
            });
        }
        Self { rows, epochs, by_request, by_key }
    }

    /// All rows, genesis first.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows after genesis.
    pub fn events(&self) -> &[Row] {
        self.rows.get(1..).unwrap_or_default()
    }

    /// The row at a position.
    pub fn row(&self, position: u64) -> Option<&Row> {
        let guess = usize::try_from(position).ok().and_then(|at| self.rows.get(at));
        guess.filter(|row| row.position == position).or_else(|| {
            let at = self.rows.binary_search_by_key(&position, |row| row.position).ok()?;
            self.rows.get(at)
        })
    }

    /// The position of the last row.
    pub fn head(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.position)
    }

    /// The rows that a request left, in the order of the log.
    pub fn of_request(&self, request_id: &str) -> impl Iterator<Item = &Row> {
        self.by_request.get(request_id).into_iter().flatten().filter_map(|&at| self.rows.get(at))
    }

    /// All that a config ever was.
    pub fn moments(&self, key: &str) -> &[Moment] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// What a config was after the event at a position; none before its first event.
    pub fn at(&self, key: &str, position: u64) -> Option<&Moment> {
        latest(self.moments(key), position)
    }

    /// What those configs were that existed after the event at a position, ordered by key.
    pub fn live_at(&self, selection: &Selection, position: u64) -> Vec<(&str, &Moment)> {
        let first = match selection {
            Selection::Key(text) | Selection::Prefix(text) => text,
        };
        self.by_key
            .range(first.clone()..)
            .take_while(|(key, _)| selection.has(key))
            .filter_map(|(key, moments)| Some((key.as_str(), latest(moments, position)?)))
            .filter(|(_, moment)| moment.value.is_some())
            .collect()
    }

    /// Whether a place was given its meaning by a tail that is gone.
    pub fn is_lost(&self, place: Place) -> bool {
        place.position > 0
            && self
                .epochs
                .iter()
                .any(|it| it.epoch > place.epoch && it.first_position <= place.position)
    }

    /// How often the log lost its tail, or may have.
    pub fn changes_of_epoch(&self) -> usize {
        self.epochs.len().saturating_sub(1)
    }

    /// Whether a command ends at a position, so that a reader may stand there.
    pub fn is_border(&self, position: u64) -> bool {
        self.row(position).is_some_and(Row::ends_command)
    }
}

fn latest(moments: &[Moment], position: u64) -> Option<&Moment> {
    let after = moments.partition_point(|moment| moment.position <= position);
    moments.get(after.checked_sub(1)?)
}
