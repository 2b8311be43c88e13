//! Configs as a JSON object: name to value, or to an object with `value` and `content_type`.

use std::fmt;
use std::io::{self, BufRead, Write};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{Entry, ReadError, ScalarVisitor, Take, without_value};

/// Hands over the entries of a file.
pub fn read(input: impl BufRead, take: &mut Take<'_>) -> Result<(), ReadError> {
    let mut stopped = None;
    let mut deserializer = serde_json::Deserializer::from_reader(input);
    let read = Entries { take, stopped: &mut stopped }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    match (stopped, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) if error.is_io() => Err(ReadError::Io(error.into())),
        (None, Err(error)) => Err(ReadError::Wrong(without_value(&error))),
    }
}

/// Writes one entry.
pub fn write(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    #[derive(Serialize)]
    struct Content<'a> {
        value: &'a str,
        content_type: &'a str,
    }

    serde_json::to_writer(&mut *out, &entry.name)?;
    out.write_all(b": ")?;
    let Entry { value, content_type, .. } = entry;
    if content_type.is_empty() {
        serde_json::to_writer(out, value)?;
    } else {
        serde_json::to_writer(out, &Content { value, content_type })?;
    }
    Ok(())
}

/// The whole object, entry by entry.
struct Entries<'a, 'b> {
    take: &'a mut Take<'b>,
    stopped: &'a mut Option<ReadError>,
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with names and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key()? {
            let Content { value, content_type } = map.next_value()?;
            if let Err(error) = (self.take)(Entry { name, value, content_type }) {
                *self.stopped = Some(error);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// A value, alone or with its content type.
struct Content {
    value: String,
    content_type: String,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// A value alone: one within another would say of which kind it is, and nobody would hear it.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

struct ContentVisitor;

impl From<String> for Content {
    fn from(value: String) -> Self {
        Self { value, content_type: String::new() }
    }
}

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ScalarVisitor.expecting(f)?;
        f.write_str(", or an object with `value` and `content_type`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        ScalarVisitor.visit_str(text).map(Content::from)
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Content, E> {
        ScalarVisitor.visit_string(text).map(Content::from)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Content, E> {
        ScalarVisitor.visit_u64(number).map(Content::from)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Content, E> {
        ScalarVisitor.visit_i64(number).map(Content::from)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Content, E> {
        ScalarVisitor.visit_bool(flag).map(Content::from)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Content, E> {
        ScalarVisitor.visit_f64(number).map(Content::from)
    }

    fn visit_unit<E: Error>(self) -> Result<Content, E> {
        ScalarVisitor.visit_unit().map(Content::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let (mut value, mut content_type) = (None, None);
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "value" if value.is_none() => value = Some(map.next_value::<Text>()?.0),
                "content_type" if content_type.is_none() => content_type = Some(map.next_value()?),
                _ => return Err(A::Error::custom("must have `value` and `content_type` only")),
            }
        }
        let value = value.ok_or_else(|| A::Error::missing_field("value"))?;
        Ok(Content { value, content_type: content_type.unwrap_or_default() })
    }
}
