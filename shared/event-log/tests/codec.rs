//! What cannot be understood is an error that names the place, never the content.

use configapi_event_log::domain::Position;
use configapi_event_log::{
    DecodeError, Draft, Recorded, SCHEMA_VERSION, StoredEvent, Texts, decode, decode_sharing,
    encode,
};
use proptest::prelude::*;

use crate::rows::{log, made};

/// A row that would tell its secrets if an error quoted it.
fn row() -> StoredEvent {
    StoredEvent {
        payload: r#"{"value":"hunter2","old_value":"hunter1"}"#.into(),
        metadata: r#"{"actor":"ada"}"#.into(),
        ..log(&[1]).swap_remove(1)
    }
}

fn problem_of(change: impl FnOnce(&mut StoredEvent)) -> String {
    let mut row = row();
    change(&mut row);
    let error = decode(&row).unwrap_err();
    let DecodeError::Malformed { position, problem } = &error else {
        panic!("not malformed: {error:?}")
    };
    assert_eq!(*position, Position(1));
    assert!(error.to_string().starts_with("position 1 cannot be read: "));
    for secret in ["hunter", "swordfish"] {
        assert!(!format!("{error} {error:?}").contains(secret), "the error tells: {error:?}");
    }
    problem.clone()
}

#[test]
fn a_row_of_this_version_is_read() {
    assert_eq!(SCHEMA_VERSION, 1);
    assert!(decode(&row()).is_ok());
}

#[test]
fn an_unknown_type_stops_the_reader() {
    let mut row = row();
    row.event_type = "ConfigValueRenamed".into();
    let error = decode(&row).unwrap_err();
    assert_eq!(
        error.to_string(),
        "position 1 holds an event of the unknown type \"ConfigValueRenamed\""
    );
}

#[test]
fn a_newer_version_of_a_known_type_stops_the_reader() {
    for event_type in ["ConfigValueSet", "ConfigValueDeleted", "ConfigValueRestored"] {
        for schema_version in [0, SCHEMA_VERSION + 1] {
            let mut row = row();
            row.event_type = event_type.into();
            row.schema_version = schema_version;
            let event_type = event_type.to_owned();
            let position = Position(1);
            let expected = DecodeError::UnknownVersion { position, event_type, schema_version };
            assert_eq!(decode(&row).unwrap_err(), expected);
        }
    }
    let mut row = row();
    row.schema_version = 2;
    assert_eq!(
        decode(&row).unwrap_err().to_string(),
        "position 1 holds ConfigValueSet in schema version 2, which is newer than this program"
    );
}

#[test]
fn json_that_is_none_is_malformed() {
    let cut = r#"{"value":"hunter2"#;
    assert_eq!(problem_of(|row| row.payload = cut.into()), "not JSON");
    for text in ["", "{", "hunter2", "\"hunter2"] {
        assert_eq!(problem_of(|row| row.payload = text.into()), "not JSON");
        assert_eq!(problem_of(|row| row.metadata = text.into()), "not JSON");
    }
}

#[test]
fn json_of_another_shape_is_malformed() {
    let wrong = "JSON of another shape than its type has";
    for payload in [
        r#""hunter2""#,
        r#"["hunter2"]"#,
        "{}",
        r#"{"value":7,"old_value":null}"#,
        r#"{"value":"hunter2","old_value":["hunter1"]}"#,
        r#"{"value":"hunter2","value":"hunter2","old_value":null}"#,
        r#"{"value":"hunter2","old_value":null,"swordfish":"hunter3"}"#,
    ] {
        assert_eq!(problem_of(|row| row.payload = payload.into()), wrong, "{payload}");
    }
    for metadata in [r#"{"swordfish":1}"#, r#"{"actor":["swordfish"]}"#, "[7]", "null"] {
        assert_eq!(problem_of(|row| row.metadata = metadata.into()), wrong, "{metadata}");
    }
    for event_type in ["ConfigValueDeleted", "ConfigValueRestored"] {
        assert_eq!(problem_of(|row| row.event_type = event_type.into()), wrong);
    }
}

#[test]
fn a_field_that_breaks_the_rules_of_the_domain_is_malformed() {
    let payload = |text: &str| problem_of(|row| row.payload = text.into());
    let nul = payload(r#"{"value":"hunter2\u0000","old_value":null}"#);
    assert_eq!(nul, "value: must not hold a NUL character, has one at byte 7");
    let old = payload(r#"{"value":"hunter2","old_value":"\u0000hunter1"}"#);
    assert_eq!(old, "value: must not hold a NUL character, has one at byte 0");
    let kind = payload(r#"{"value":"hunter2","old_value":null,"content_type":"swordfish\n"}"#);
    assert_eq!(kind, "content_type: must not hold control characters");

    let metadata = |text: &str| problem_of(|row| row.metadata = text.into());
    let control = "must not hold control characters";
    assert_eq!(metadata(r#"{"actor":"swordfish\n"}"#), format!("actor: {control}"));
    assert_eq!(metadata(r#"{"reason":"swordfish\u0001"}"#), format!("reason: {control}"));
    assert_eq!(
        metadata(r#"{"request_id":"sword fish"}"#),
        "request_id: may hold only visible ASCII characters"
    );
    assert_eq!(
        metadata(r#"{"request_id":"id","fingerprint":"swordfish"}"#),
        "the fingerprint is not 32 hexadecimal digits"
    );
    assert_eq!(
        metadata(r#"{"fingerprint":"000102030405060708090a0b0c0d0e0f"}"#),
        "a fingerprint without a request id"
    );
}

#[test]
fn a_stream_that_is_no_config_is_malformed() {
    let stream = |text: &str| problem_of(|row| row.stream = text.into());
    assert_eq!(stream("swordfish"), "stream: must be namespace/name");
    assert_eq!(stream("/swordfish"), "namespace: must not be empty in a stream's name");
    assert_eq!(stream("Swordfish/a"), "namespace: may hold only a-z, 0-9 and -");
    assert_eq!(stream("a/../swordfish"), "name: must not have an empty, `.` or `..` segment");
}

#[test]
fn a_traceparent_that_cannot_be_read_is_left_out() {
    let row = StoredEvent { metadata: r#"{"traceparent":"99-what"}"#.into(), ..row() };
    assert_eq!(decode(&row).unwrap().provenance.traceparent, None);
}

/// A row by somebody, for some reason, with some kind of value.
fn row_by(actor: &str, reason: &str, content_type: &str) -> StoredEvent {
    let payload = serde_json::json!({"value": "1", "content_type": content_type});
    let metadata = serde_json::json!({"actor": actor, "reason": reason});
    StoredEvent {
        payload: payload.to_string().into(),
        metadata: metadata.to_string().into(),
        ..row()
    }
}

fn texts_of(read: &Recorded) -> [&str; 3] {
    let content_type = read.event.content().and_then(|it| it.content_type.as_ref());
    let Recorded { provenance, .. } = read;
    [
        provenance.actor.as_str(),
        provenance.reason.as_str(),
        content_type.map_or("", |it| it.as_str()),
    ]
}

#[test]
fn rows_with_equal_texts_share_them_until_there_are_too_many() {
    let mut texts = Texts::default();
    let mut read = |who: usize| {
        let (actor, reason) = (format!("user-{who}"), format!("because of {who}"));
        let row = row_by(&actor, &reason, &format!("text/{who}"));
        let read = decode_sharing(&row, &mut texts).unwrap();
        assert_eq!(texts_of(&read), [actor, reason, format!("text/{who}")]);
        read
    };
    let places = |read: &Recorded| texts_of(read).map(str::as_ptr);
    let (first, again) = (read(0), read(0));
    assert_eq!(places(&first), places(&again));
    (1..5_000).for_each(|who| drop(read(who)));
    let late = read(0);
    for (early, late) in places(&first).into_iter().zip(places(&late)) {
        assert_ne!(early, late, "all are remembered for ever");
    }
}

/// A character taken away, put in, or put in another's place.
fn changed(text: &str, at: prop::sample::Index, change: Option<char>, replaces: bool) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let at = at.index(letters.len());
    if replaces || change.is_none() {
        letters.remove(at);
    }
    if let Some(letter) = change {
        letters.insert(at, letter);
    }
    letters.into_iter().collect()
}

/// The value that a row's JSON gives its config, read without the codec; none for a deletion.
fn said(row: &StoredEvent) -> Option<String> {
    let payload: serde_json::Value = serde_json::from_str(&row.payload).unwrap();
    payload.get("value").map(|value| value.as_str().unwrap().to_owned())
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_as_it_was(made in made()) {
        let row = made.encoded();
        let read = decode(&row).unwrap();
        prop_assert_eq!(read.position, made.position);
        prop_assert_eq!(read.version, made.version);
        prop_assert_eq!(read.recorded_at, made.recorded_at);
        prop_assert_eq!(&read.key, &made.key);
        prop_assert_eq!(&read.event, &made.event);
        prop_assert_eq!(&read.provenance, &made.provenance);
        prop_assert_eq!(&read.request, &made.request);
        prop_assert_eq!(read.part, made.part);
        let keyed = made.request.filter(|_| made.part.index == 0);
        prop_assert_eq!(row.request_id.as_deref(), keyed.as_ref().map(|key| key.id.as_str()));
    }

    #[test]
    fn a_row_that_was_changed_is_refused_or_read_as_what_it_says(
        made in made(),
        in_metadata in any::<bool>(),
        at in any::<prop::sample::Index>(),
        change in prop::option::of(any::<char>()),
        replaces in any::<bool>(),
    ) {
        let mut row = made.encoded();
        let text = if in_metadata { &mut row.metadata } else { &mut row.payload };
        *text = changed(text, at, change, replaces).into();
        if let Ok(read) = decode(&row) {
            let value = read.event.content().map(|content| content.value.as_str().to_owned());
            prop_assert_eq!(said(&row), value);
            let written = encode(&Draft {
                position: read.position,
                version: read.version,
                recorded_at: read.recorded_at,
                key: &read.key,
                event: &read.event,
                provenance: &read.provenance,
                request: read.request.as_ref(),
                part: read.part,
            });
            prop_assert_eq!(decode(&written), Ok(read));
        }
    }

    #[test]
    fn what_is_read_with_shared_texts_is_what_is_read_alone(
        rows in prop::collection::vec((0..4_usize, 0..4_usize, 0..4_usize), 1..20),
    ) {
        // The last ones are refused.
        let (actors, reasons) = (["", "ada", "text/x", "a\nb"], ["", "ada", "text/x", "a\0b"]);
        let content_types = ["", "text/x", "ada", "é"];
        let mut texts = Texts::default();
        for (actor, reason, content_type) in rows {
            let row = row_by(actors[actor], reasons[reason], content_types[content_type]);
            prop_assert_eq!(decode_sharing(&row, &mut texts), decode(&row));
            prop_assert_eq!(decode(&row).is_err(), actor == 3 || reason == 3 || content_type == 3);
        }
    }

    #[test]
    fn any_text_is_read_or_refused_and_never_a_panic(payload in ".*", metadata in ".*") {
        let mut row = row();
        row.payload = payload.into();
        row.metadata = metadata.into();
        let _ = decode(&row);
    }
}
