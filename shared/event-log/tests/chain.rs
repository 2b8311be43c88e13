//! No row can be edited, dropped or moved without the chain telling.

use configapi_event_log::domain::{Position, Timestamp, Version};
use configapi_event_log::{Hash, StoredEvent, hash_of, seal, verify_link};
use proptest::prelude::*;

use crate::rows::{Made, log, made};

#[test]
fn a_log_as_it_was_written_verifies() {
    let rows = log(&[1, 3, 1]);
    for pair in rows.windows(2) {
        assert_eq!(verify_link(pair[0].hash, &pair[1]), Ok(()));
    }
    assert_eq!(verify_link(Hash::ZERO, &rows[0]), Ok(()));
}

#[test]
fn a_break_names_the_row_and_both_hashes() {
    let rows = log(&[1, 1]);
    let found = verify_link(rows[0].hash, &rows[2]).unwrap_err();
    assert_eq!(found.position, Position(2));
    assert_eq!(found.found, rows[2].hash);
    assert_eq!(found.computed, hash_of(rows[0].hash, &rows[2]));
    let text = found.to_string();
    assert!(text.starts_with("the hash chain breaks at position 2: the row holds "), "{text}");
    assert_eq!(format!("{:?}", rows[2].hash), rows[2].hash.to_string());
}

#[test]
fn a_hash_has_32_bytes() {
    assert_eq!(Hash::from_slice(&[0; 32]), Some(Hash::ZERO));
    assert_eq!(Hash::from_slice(&[0; 31]), None);
    assert_eq!(Hash::from_slice(&[0; 33]), None);
}

#[test]
fn moving_a_byte_from_one_field_to_the_next_changes_the_hash() {
    let row = log(&[1]).pop().unwrap();
    let of = |stream: &str, event_type: &str, request_id: Option<&str>, payload: &str| {
        let mut row = row.clone();
        row.stream = stream.into();
        row.event_type = event_type.to_owned().into();
        row.request_id = request_id.map(Into::into);
        row.payload = payload.into();
        hash_of(Hash::ZERO, &row)
    };
    let hashes = [
        of("ab", "cd", Some("ef"), "gh"),
        of("a", "bcd", Some("ef"), "gh"),
        of("ab", "cde", Some("f"), "gh"),
        of("ab", "cdef", None, "gh"),
        of("ab", "cd", Some("e"), "fgh"),
        of("ab", "cd", None, "efgh"),
    ];
    for (index, hash) in hashes.iter().enumerate() {
        assert!(!hashes[index + 1..].contains(hash), "two rows have one hash");
    }
}

/// Changes one field of a row to what it was not.
fn mutate(row: &mut StoredEvent, field: u8, by: u8) {
    let changed = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(b'a' + by % 26);
        String::from_utf8(bytes).unwrap()
    };
    let number = u64::from(by) + 1;
    match field {
        0 => row.position = Position(row.position.0.wrapping_add(number)),
        1 => row.version = Version(row.version.0.wrapping_add(number)),
        2 => row.recorded_at = Timestamp(row.recorded_at.0.wrapping_add(i64::from(by) + 1)),
        3 => row.part.index = row.part.index.wrapping_add(u32::from(by) + 1),
        4 => row.part.size = row.part.size.wrapping_add(u32::from(by) + 1),
        5 => row.schema_version += u32::from(by) + 1,
        6 => row.stream = changed(&row.stream).into(),
        7 => row.event_type = changed(&row.event_type).into(),
        8 => row.request_id = Some(changed(row.request_id.as_deref().unwrap_or("")).into()),
        9 => row.payload = changed(&row.payload).into(),
        10 => row.metadata = changed(&row.metadata).into(),
        _ => row.hash.0[usize::from(by % 32)] ^= by | 1,
    }
}

proptest! {
    #[test]
    fn any_change_of_any_field_of_any_row_is_found(
        all in prop::collection::vec(made(), 1..6),
        at in any::<prop::sample::Index>(),
        field in 0_u8..=11,
        by in any::<u8>(),
    ) {
        let mut previous = Hash::ZERO;
        let mut rows: Vec<_> = all.iter().map(Made::encoded).collect();
        for row in &mut rows {
            seal(previous, row);
            prop_assert_eq!(verify_link(previous, row), Ok(()));
            previous = row.hash;
        }
        let at = at.index(rows.len());
        let before = at.checked_sub(1).map_or(Hash::ZERO, |before| rows[before].hash);
        mutate(&mut rows[at], field, by);
        prop_assert!(verify_link(before, &rows[at]).is_err(), "field {} was changed unseen", field);
    }

    #[test]
    fn a_row_that_is_missing_or_moved_is_found(
        all in prop::collection::vec(made(), 3..6),
        at in any::<prop::sample::Index>(),
    ) {
        let mut previous = Hash::ZERO;
        let mut rows: Vec<_> = all.iter().map(Made::encoded).collect();
        for row in &mut rows {
            seal(previous, row);
            previous = row.hash;
        }
        let at = at.index(rows.len() - 1);
        let before = at.checked_sub(1).map_or(Hash::ZERO, |before| rows[before].hash);
        prop_assert!(verify_link(before, &rows[at + 1]).is_err());
    }
}
