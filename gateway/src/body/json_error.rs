//! What is wrong with a JSON body, said without repeating any of it: it holds values. Only the names
//! of members that requests have are told, and what belongs there.

use std::fmt::{self, Write as _};

use configapi_proto::ApiError;
use serde::de::{self, DeserializeOwned};
use serde_json::error::{Category, Error};
use serde_path_to_error::Segment;

use crate::problem::Problem;

/// What members of bodies are called. Whatever else stands there is not repeated.
const MEMBERS: [&str; 11] = [
    "commands",
    "action",
    "namespace",
    "name",
    "expected_version",
    "value",
    "content_type",
    "to",
    "version",
    "at",
    "position",
];

/// What begins an error of `member`.
const MEMBER: &str = "member ";

/// A member that is wrong, as an error of whoever reads an object.
pub(crate) fn member<E: de::Error>(name: &'static str, wants: &str) -> E {
    E::custom(format_args!("{MEMBER}`{name}` {wants}"))
}

/// What is at hand must be this, as an error of whoever reads it.
pub(crate) fn expected<E: de::Error>(wants: fmt::Arguments<'_>) -> E {
    E::custom(format_args!("expected {wants}"))
}

/// The problem of a text that could not be read as this.
pub(super) fn problem<T: DeserializeOwned>(text: &str, error: &Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let what = match error.classify() {
        Category::Eof => "ends too early".to_owned(),
        Category::Io | Category::Syntax => "is not JSON".to_owned(),
        Category::Data => {
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(&*message, |(it, _)| it);
            let Wrong { member, wants } = Wrong::of(message);
            let place = joined(place::<T>(text), member);
            if !place.is_empty() {
                return ApiError::invalid(place, wants).into();
            }
            wants
        }
    };
    ApiError::invalid("body", format!("{what} (line {line}, column {column})")).into()
}

/// Where in a text the first thing stands that is wrong, such as `commands[3].value`. It is read once
/// more, with the way there noted down, which is nothing that every body should pay for.
fn place<T: DeserializeOwned>(text: &str) -> String {
    let mut place = String::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut reader) else { return place };
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => {
                let _ = write!(place, "[{index}]");
            }
            Segment::Map { key } if MEMBERS.contains(&key.as_str()) => {
                place = joined(place, Some(key));
            }
            // What is not known has been sent by the client.
            Segment::Map { .. } | Segment::Enum { .. } | Segment::Unknown => break,
        }
    }
    place
}

fn joined(place: String, member: Option<&str>) -> String {
    match member {
        None => place,
        Some(member) if place.is_empty() => member.to_owned(),
        Some(member) => format!("{place}.{member}"),
    }
}

/// What an error says, without what it says of the contents.
struct Wrong<'a> {
    /// The member of the object at hand that is meant; none if it is that object itself.
    member: Option<&'a str>,
    wants: String,
}

impl<'a> Wrong<'a> {
    fn of(message: &'a str) -> Self {
        if let Some((member, wants)) = named(message, MEMBER) {
            return Self { member: Some(member), wants: wants.trim_start().to_owned() };
        }
        if let Some((member, _)) = named(message, "missing field ") {
            return Self { member: Some(member), wants: "is missing".to_owned() };
        }
        if let Some((member, _)) = named(message, "duplicate field ") {
            return Self { member: Some(member), wants: "must be said only once".to_owned() };
        }
        let wants = match message.rsplit_once("expected ") {
            Some((_, expected)) if message.starts_with("unknown field") => {
                format!("has a field that is not known, expected {expected}")
            }
            Some((_, "a sequence")) => "must be an array".to_owned(),
            Some((_, expected)) => format!("must be {expected}"),
            None => "is not what this request wants".to_owned(),
        };
        Self { member: None, wants }
    }
}

/// The name in an error that begins so, and what comes after it. Such errors name members of the
/// contract, not contents.
fn named<'a>(message: &'a str, beginning: &str) -> Option<(&'a str, &'a str)> {
    message.strip_prefix(beginning)?.strip_prefix('`')?.split_once('`')
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only read")]
        version: u64,
    }

    #[test]
    fn nothing_of_the_body_is_repeated() {
        for (body, place) in [
            (r#"{"version": "hunter2"}"#, "version: must be "),
            (r#"{"version": "hunter2, expected hunter2 at line hunter2"}"#, "version: must be u64"),
            (
                r#"{"hunter2": 1}"#,
                "body: has a field that is not known, expected `version` (line 1",
            ),
            (r#"{"version": 1, "hunter2": 1}"#, "body: has a field that is not known"),
            (r#"{"version": 1, "missing field `hunter2`": 1}"#, "body: has a field"),
            (r#""hunter2""#, "body: must be struct Body (line 1"),
            (r#"{"version": 1, "version": 2}"#, "version: must be said only once"),
            ("{}", "version: is missing"),
            ("hunter2", "body: is not JSON (line 1"),
            (r#"{"version": 1"#, "body: ends too early (line 1"),
        ] {
            let error = serde_json::from_str::<Body>(body).unwrap_err();
            let told = problem::<Body>(body, &error).details("-");
            assert!(!told.contains("hunter2"), "{told}");
            assert!(told.contains(place), "{told}");
        }
    }
}
