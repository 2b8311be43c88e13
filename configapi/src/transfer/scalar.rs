//! A value as people write it in JSON or YAML: in quotes, or as a number or flag whose text is
//! beyond doubt.

use std::fmt;

use serde::de::{Error, Visitor};

/// Reads a text, a whole number or a flag as its text.
#[derive(Debug, Clone, Copy)]
pub struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value: a text, a whole number, true or false")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<String, E> {
        Ok(flag.to_string())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<String, E> {
        Err(E::custom("put this number in quotes, so that it is kept as it is written"))
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Err(E::custom("null is not a value; \"\" is the empty one"))
    }
}
