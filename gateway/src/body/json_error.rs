//! What is wrong with a JSON body, said without repeating any of it: it holds values.

use configapi_proto::ApiError;
use serde_json::error::{Category, Error};

use crate::problem::Problem;

/// Messages that begin like this name fields of the contract, not contents.
const HARMLESS: [&str; 3] = ["missing field", "duplicate field", "value: "];

pub(super) fn problem(error: &Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let what = match error.classify() {
        Category::Eof => "ends too early".to_owned(),
        Category::Io | Category::Syntax => "is not JSON".to_owned(),
        Category::Data => wanted(&error.to_string()),
    };
    ApiError::invalid("body", format!("{what} (line {line}, column {column})")).into()
}

fn wanted(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    if HARMLESS.iter().any(|harmless| message.starts_with(harmless)) {
        return message.to_owned();
    }
    match message.rsplit_once("expected ") {
        Some((_, expected)) if message.starts_with("unknown field") => {
            format!("has a field that is not known, expected {expected}")
        }
        Some((_, expected)) => format!("has something unexpected, expected {expected}"),
        None => "is not what this request wants".to_owned(),
    }
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
        for body in [
            r#"{"version": "hunter2"}"#,
            r#"{"hunter2": 1}"#,
            r#"{"version": 1, "hunter2": 1}"#,
            r#""hunter2""#,
            "hunter2",
            r#"{"version": 1"#,
        ] {
            let error = serde_json::from_str::<Body>(body).unwrap_err();
            let told = problem(&error).details("-");
            assert!(!told.contains("hunter2"), "{told}");
            assert!(told.contains("line 1"), "{told}");
        }
    }
}
