//! Records as YAML, in the small part of it that all readers read alike.

use std::fmt::Write as _;

use super::{Field, Record};

/// A record as a document of its own.
pub(super) fn document(record: &Record) -> String {
    let mut text = String::new();
    fields(&mut text, record, 0);
    text
}

/// A record as one item of a list.
pub(super) fn item(record: &Record) -> String {
    let mut text = String::from("- ");
    fields(&mut text, record, 2);
    text
}

/// The first line stands where the text ends; the others are indented.
fn fields(text: &mut String, record: &Record, indent: usize) {
    if record.fields().is_empty() {
        text.push_str("{}\n");
    }
    for (index, (name, field)) in record.fields().iter().enumerate() {
        if index > 0 {
            text.extend(std::iter::repeat_n(' ', indent));
        }
        text.push_str(name);
        text.push(':');
        match field {
            Field::Text(value) => {
                text.push(' ');
                scalar(text, value);
                text.push('\n');
            }
            Field::Number(_) | Field::Flag(_) => {
                text.push(' ');
                text.push_str(&field.plain());
                text.push('\n');
            }
            Field::Record(record) if record.fields().is_empty() => text.push_str(" {}\n"),
            Field::Record(record) => {
                text.push('\n');
                text.extend(std::iter::repeat_n(' ', indent + 2));
                fields(text, record, indent + 2);
            }
            Field::List(records) if records.is_empty() => text.push_str(" []\n"),
            Field::List(records) => {
                text.push('\n');
                for record in records {
                    text.extend(std::iter::repeat_n(' ', indent));
                    text.push_str("- ");
                    fields(text, record, indent + 2);
                }
            }
        }
    }
}

/// A text as a scalar: plain if no reader could take it for anything else, else in quotes.
pub fn scalar(text: &mut String, value: &str) {
    if is_plain(value) { text.push_str(value) } else { quoted(text, value) }
}

/// A text in double quotes.
pub fn quoted(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            // What is not printable in YAML, and what some readers take for a line break or a mark.
            '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Whether a text begins with a letter, goes on with harmless characters, and is none of the words
/// that some version of YAML takes for something else.
fn is_plain(value: &str) -> bool {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_harmless =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@');
    value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.chars().all(is_harmless)
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(value))
}
