//! Names, namespaces, streams and prefixes.

use std::sync::Arc;

use configapi_domain::{ConfigKey, MAX_NAME_BYTES, MAX_NAMESPACE_BYTES, NamePrefix, Namespace};
use proptest::prelude::*;

fn refused(namespace: &str, name: &str) -> String {
    ConfigKey::parse(namespace, name).unwrap_err().to_string()
}

#[test]
fn good_names_are_taken_as_they_are() {
    let longest = "n".repeat(MAX_NAME_BYTES);
    for name in ["a", "A-Z_0.9", "a/b/c", ".a", "a.", "...", "a/.b/..c", "-", "_", &longest] {
        let key = ConfigKey::parse("", name).unwrap();
        assert_eq!((key.namespace(), key.name()), ("default", name));
        assert_eq!(key.stream(), format!("default/{name}"));
    }
}

#[test]
fn bad_names_are_refused_with_what_is_wrong() {
    let too_long = "n".repeat(MAX_NAME_BYTES + 1);
    assert_eq!(refused("", ""), "name: must be 1 to 256 bytes, has 0");
    assert_eq!(refused("", &too_long), "name: must be 1 to 256 bytes, has 257");
    for name in ["a b", "a\n", "é", "a\\b", "a%2F", "a:b", "a\0"] {
        assert_eq!(refused("", name), "name: may hold only A-Z, a-z, 0-9, _, -, . and /");
    }
    for name in ["/", "/a", "a/", "a//b", ".", "..", "a/.", "./a", "a/../b"] {
        assert_eq!(refused("", name), "name: must not have an empty, `.` or `..` segment");
    }
}

#[test]
fn good_namespaces_are_taken_as_they_are() {
    let longest = "n".repeat(MAX_NAMESPACE_BYTES);
    for namespace in ["a", "team-7", "-", "0", &longest] {
        assert_eq!(ConfigKey::parse(namespace, "a").unwrap().namespace(), namespace);
        let parsed = Namespace::parse(namespace).unwrap();
        assert_eq!((parsed.as_str(), parsed.to_string().as_str()), (namespace, namespace));
    }
    assert_eq!(Namespace::parse("").unwrap().as_str(), Namespace::DEFAULT);
}

#[test]
fn bad_namespaces_are_refused_with_what_is_wrong() {
    let too_long = "n".repeat(MAX_NAMESPACE_BYTES + 1);
    assert_eq!(refused(&too_long, "a"), "namespace: must be 1 to 64 bytes, has 65");
    for namespace in ["A", "a_b", "a.b", "a/b", "a b", "é"] {
        assert_eq!(refused(namespace, "a"), "namespace: may hold only a-z, 0-9 and -");
        assert!(Namespace::parse(namespace).is_err());
    }
}

#[test]
fn a_refusal_never_repeats_what_was_sent() {
    assert!(!refused("", "hunter 2").contains("hunter"));
    assert!(!refused("HUNTER", "a").contains("HUNTER"));
}

#[test]
fn a_stream_has_one_reading() {
    let key = ConfigKey::of_stream("team/a/b".into()).unwrap();
    assert_eq!((key.namespace(), key.name()), ("team", "a/b"));
    let stream: Arc<str> = "team/a".into();
    let key = ConfigKey::of_stream(Arc::clone(&stream)).unwrap();
    assert!(Arc::ptr_eq(&key.shared_stream(), &stream), "the text is shared, not copied");
    let refused = |stream: &str| ConfigKey::of_stream(stream.into()).unwrap_err().to_string();
    assert_eq!(refused("team"), "stream: must be namespace/name");
    assert_eq!(refused(""), "stream: must be namespace/name");
    assert_eq!(refused("/a"), "namespace: must not be empty in a stream's name");
    assert_eq!(refused("Team/a"), "namespace: may hold only a-z, 0-9 and -");
    assert_eq!(refused("team/"), "name: must be 1 to 256 bytes, has 0");
}

#[test]
fn a_key_shows_itself_as_its_stream() {
    let key = ConfigKey::parse("team", "a").unwrap();
    assert_eq!(format!("{key} {key:?}"), "team/a ConfigKey(team/a)");
}

#[test]
fn keys_are_ordered_by_namespace_then_name_byte_for_byte() {
    // `-` sorts before `/`, so ordering by the stream's text would be another order.
    let keys = [("a", "z"), ("a-b", "a"), ("b", "A"), ("b", "a"), ("b", "a/b"), ("b", "a0")];
    let keys = keys.map(|(namespace, name)| ConfigKey::parse(namespace, name).unwrap());
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(sorted, keys);
    assert!(keys[0] < keys[1]);
}

#[test]
fn a_prefix_is_any_beginning_of_a_name() {
    let longest = "p".repeat(MAX_NAME_BYTES);
    for prefix in ["", "a", "a/", "a//", ".", &longest] {
        assert_eq!(NamePrefix::parse(prefix).unwrap().as_str(), prefix);
    }
    assert_eq!(NamePrefix::default(), NamePrefix::parse("").unwrap());
    let prefix = NamePrefix::parse("a/b").unwrap();
    assert!(prefix.matches("a/b") && prefix.matches("a/bc"));
    assert!(!prefix.matches("a") && !prefix.matches("A/b") && !prefix.matches("ca/b"));
    let refused = |text: &str| NamePrefix::parse(text).unwrap_err().to_string();
    assert_eq!(refused("a b"), "prefix: may hold only A-Z, a-z, 0-9, _, -, . and /");
    assert_eq!(refused(&"p".repeat(257)), "prefix: must be at most 256 bytes, has 257");
}

/// What a name may be, said in another way than the parser says it.
fn is_name(text: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
    text.len() <= MAX_NAME_BYTES && text.bytes().all(is_byte) && text.split('/').all(is_segment)
}

fn is_namespace(text: &str) -> bool {
    let is_byte = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    text.len() <= MAX_NAMESPACE_BYTES && text.bytes().all(is_byte)
}

/// Texts that are nearly names, and some that are.
fn nearly_a_name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => "[A-Za-z0-9_.-]{1,4}",
        2 => Just("/".to_owned()),
        1 => prop::sample::select(vec![".", "..", "//", " ", "\0", "é", "%2F", "\\", "\u{202e}"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..9).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_text_is_a_name_exactly_when_the_rules_say_so(
        name in prop_oneof![nearly_a_name(), "[a-z/]{250,260}", any::<String>()],
        namespace in prop_oneof![Just(String::new()), "[a-z0-9A-Z_-]{1,3}", "[a-z-]{60,68}"],
    ) {
        let parsed = ConfigKey::parse(&namespace, &name);
        prop_assert_eq!(parsed.is_ok(), is_name(&name) && is_namespace(&namespace));
        if let Ok(key) = parsed {
            prop_assert_eq!(key.name(), &name);
            let meant = if namespace.is_empty() { Namespace::DEFAULT } else { &namespace };
            prop_assert_eq!(key.namespace(), meant);
        }
    }

    #[test]
    fn any_text_is_a_key_or_refused_and_a_key_is_read_back(namespace in ".*", name in ".*") {
        if let Ok(key) = ConfigKey::parse(&namespace, &name) {
            prop_assert_eq!(ConfigKey::of_stream(key.shared_stream()), Ok(key));
        }
    }

    #[test]
    fn every_beginning_of_a_name_is_a_prefix_of_it(
        name in "[A-Za-z0-9_-]{1,9}(/[A-Za-z0-9_-]{1,9}){0,3}",
        at in any::<prop::sample::Index>(),
    ) {
        prop_assert!(ConfigKey::parse("", &name).is_ok());
        let prefix = NamePrefix::parse(&name[..at.index(name.len() + 1)]).unwrap();
        prop_assert!(prefix.matches(&name));
    }
}
