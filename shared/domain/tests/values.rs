//! Values and their types.

use configapi_domain::{Content, ContentType, MAX_CONTENT_TYPE_BYTES, MAX_VALUE_BYTES, Value};

#[test]
fn any_text_without_nul_is_a_value() {
    let longest = "v".repeat(MAX_VALUE_BYTES);
    for text in ["", " ", "\n\u{1}\u{7F}", "🦀", "{}", &longest] {
        assert_eq!(Value::parse(text).unwrap().as_str(), text);
    }
}

#[test]
fn a_value_that_no_store_could_keep_is_refused() {
    let refused = |text: &str| Value::parse(text).unwrap_err().to_string();
    let too_long = "é".repeat(MAX_VALUE_BYTES / 2 + 1);
    assert_eq!(refused(&too_long), "value: must be at most 1000000 bytes, has 1000002");
    assert_eq!(refused("ab\0"), "value: must not hold a NUL character, has one at byte 2");
}

#[test]
fn a_value_does_not_show_itself_in_logs() {
    let content = Content::untyped(Value::parse("hunter2").unwrap());
    assert_eq!(format!("{:?}", content.value), "Value(7 bytes)");
    assert!(!format!("{content:?}").contains("hunter2"));
}

#[test]
fn a_content_type_is_printable_ascii() {
    let longest = "t".repeat(MAX_CONTENT_TYPE_BYTES);
    for text in ["text/plain", "application/json; charset=utf-8", &longest] {
        assert_eq!(ContentType::parse(text).unwrap().unwrap().as_str(), text);
    }
    assert_eq!(ContentType::parse(""), Ok(None));
    let refused = |text: &str| ContentType::parse(text).unwrap_err().to_string();
    assert_eq!(refused("text\nplain"), "content_type: must not hold control characters");
    assert_eq!(refused("téxt"), "content_type: must be ASCII");
    assert_eq!(refused(&"t".repeat(256)), "content_type: must be at most 255 bytes, has 256");
}
