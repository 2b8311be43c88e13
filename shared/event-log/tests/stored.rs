//! The genesis row, and names of types.

use std::borrow::Cow;

use configapi_event_log::{GENESIS_STREAM, event_type_named, genesis, log_id_of, seal};

use crate::rows::{START, log, log_id};

#[test]
fn a_genesis_row_tells_whose_log_it_begins() {
    assert_eq!(log_id_of(&genesis(log_id(), START)), Some(log_id()));
}

#[test]
fn a_genesis_row_that_was_edited_tells_nothing() {
    let edits: [fn(&mut configapi_event_log::StoredEvent); 5] = [
        |row| row.payload = row.payload.replace('7', "8").into(),
        |row| row.payload = r#"{"log_id":"what"}"#.into(),
        |row| row.payload = format!("{} ", row.payload).into(),
        |row| row.recorded_at.0 += 1,
        |row| row.metadata = "{\"actor\":\"x\"}".into(),
    ];
    for edit in edits {
        let mut row = genesis(log_id(), START);
        edit(&mut row);
        assert_eq!(log_id_of(&row), None);
    }
    let mut renamed = genesis(log_id(), START);
    renamed.stream = "default/a".into();
    seal(configapi_event_log::Hash::ZERO, &mut renamed);
    assert_eq!(log_id_of(&renamed), None, "its chain holds, but it is no genesis row");
    assert_eq!(log_id_of(&log(&[1])[1]), None);
    assert!(!GENESIS_STREAM.contains('/'));
}

#[test]
fn known_types_are_not_allocated() {
    for known in ["ConfigValueSet", "ConfigValueDeleted", "ConfigValueRestored"] {
        assert!(matches!(event_type_named(known), Cow::Borrowed(name) if name == known));
    }
    assert!(matches!(event_type_named("Other"), Cow::Owned(name) if name == "Other"));
}

/// Limits of pages, batches and look-ups are in these bytes.
#[test]
fn a_row_weighs_what_its_texts_weigh_and_more() {
    let edits: [fn(&mut configapi_event_log::StoredEvent); 3] = [
        |row| row.stream = format!("{}{}", row.stream, "x".repeat(1_000)).into(),
        |row| row.payload = "x".repeat(1_000 + row.payload.len()).into(),
        |row| row.metadata = "x".repeat(1_000 + row.metadata.len()).into(),
    ];
    let row = log(&[1]).remove(1);
    assert!(row.weight_bytes() > row.stream.len() + row.payload.len() + row.metadata.len());
    for edit in edits {
        let mut longer = row.clone();
        edit(&mut longer);
        assert_eq!(longer.weight_bytes(), row.weight_bytes() + 1_000);
    }
}
