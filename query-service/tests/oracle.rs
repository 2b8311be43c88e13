//! What the answers must be: a naive fold over the first events of the log, written to be plainly
//! right rather than fast.

use std::collections::BTreeMap;

use configapi_domain::{ConfigEvent, ConfigKey, Content};
use configapi_event_log::Recorded;
use configapi_proto::{timestamp_from_micros, v1};

/// All configs that exist after the first `position` events, by key.
pub fn configs(log: &[Recorded], position: u64) -> BTreeMap<(String, String), v1::Config> {
    let mut configs = BTreeMap::new();
    for event in &log[..usize::try_from(position).unwrap()] {
        let place = (event.key.namespace().to_owned(), event.key.name().to_owned());
        match event.event.content() {
            Some(content) => configs.insert(place, config(log, event, content)),
            None => configs.remove(&place),
        };
    }
    configs
}

fn config(log: &[Recorded], event: &Recorded, content: &Content) -> v1::Config {
    let first = log.iter().find(|it| it.key == event.key).unwrap();
    v1::Config {
        namespace: event.key.namespace().to_owned(),
        name: event.key.name().to_owned(),
        value: content.value.as_str().to_owned(),
        content_type: content_type(content),
        version: event.version.0,
        position: event.position.0,
        created_at: Some(timestamp_from_micros(first.recorded_at.0)),
        updated_at: Some(timestamp_from_micros(event.recorded_at.0)),
        actor: event.provenance.actor.as_str().to_owned(),
        reason: event.provenance.reason.as_str().to_owned(),
    }
}

fn content_type(content: &Content) -> String {
    content.content_type.as_ref().map(|it| it.as_str().to_owned()).unwrap_or_default()
}

/// An event as the contract tells it.
pub fn event(recorded: &Recorded) -> v1::Event {
    let provenance = &recorded.provenance;
    let text = |value: &configapi_domain::Value| value.as_str().to_owned();
    let change = match &recorded.event {
        ConfigEvent::Set { content, old_value } => {
            v1::event::Change::ValueSet(v1::ConfigValueSet {
                value: text(&content.value),
                old_value: old_value.as_ref().map(text),
                content_type: content_type(content),
            })
        }
        ConfigEvent::Deleted { deleted } => {
            v1::event::Change::ValueDeleted(v1::ConfigValueDeleted {
                deleted_value: text(&deleted.value),
                content_type: content_type(deleted),
            })
        }
        ConfigEvent::Restored { content, old_value, restored_version } => {
            v1::event::Change::ValueRestored(v1::ConfigValueRestored {
                value: text(&content.value),
                old_value: old_value.as_ref().map(text),
                content_type: content_type(content),
                restored_version: restored_version.0,
            })
        }
    };
    v1::Event {
        position: recorded.position.0,
        version: recorded.version.0,
        namespace: recorded.key.namespace().to_owned(),
        name: recorded.key.name().to_owned(),
        recorded_at: Some(timestamp_from_micros(recorded.recorded_at.0)),
        actor: provenance.actor.as_str().to_owned(),
        reason: provenance.reason.as_str().to_owned(),
        request_id: provenance.request_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        traceparent: provenance
            .traceparent
            .as_ref()
            .map(|it| it.as_str().to_owned())
            .unwrap_or_default(),
        hash: recorded.hash.0.to_vec(),
        schema_version: 1,
        last_of_command: recorded.part.is_last(),
        change: Some(change),
    }
}

/// The history of a config within the first `position` events.
pub fn history(log: &[Recorded], position: u64, key: &ConfigKey) -> Vec<v1::Event> {
    let upto = usize::try_from(position).unwrap();
    log[..upto].iter().filter(|it| it.key == *key).map(event).collect()
}

/// The end of the command that the event at a position belongs to.
pub fn command_end(log: &[Recorded], position: u64) -> u64 {
    let first = usize::try_from(position.saturating_sub(1)).unwrap();
    match position {
        0 => 0,
        _ => log[first..].iter().find(|it| it.part.is_last()).unwrap().position.0,
    }
}

/// The differences between two positions.
pub fn diff(log: &[Recorded], from: u64, to: u64) -> Vec<v1::DiffEntry> {
    let (before, after) = (configs(log, from), configs(log, to));
    let places: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut entries = Vec::new();
    for place in places {
        let (from, to) = (before.get(place), after.get(place));
        let kind = match (from, to) {
            (None, _) => v1::DiffKind::Added,
            (_, None) => v1::DiffKind::Removed,
            (Some(a), Some(b)) if (&a.value, &a.content_type) == (&b.value, &b.content_type) => {
                continue;
            }
            _ => v1::DiffKind::Changed,
        };
        entries.push(v1::DiffEntry {
            namespace: place.0.clone(),
            name: place.1.clone(),
            kind: kind.into(),
            from: from.cloned(),
            to: to.cloned(),
        });
    }
    entries
}
