//! What a config holds: UTF-8 text and, if somebody said so, what kind of text it is.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::Invalid;
use crate::invalid::plain_text;

/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1_000_000;
/// The longest content type, in bytes.
pub const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// A config's value: UTF-8 text of 0 to 1,000,000 bytes without NUL. Cheap to clone. Its `Debug`
/// form tells the length only, so that a value cannot slip into a log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value(Arc<str>);

impl Value {
    /// Parses a value.
    pub fn parse(text: impl Into<Arc<str>>) -> Result<Self, Invalid> {
        let text = text.into();
        if text.len() > MAX_VALUE_BYTES {
            return Err(Invalid::new(
                "value",
                format!("must be at most {MAX_VALUE_BYTES} bytes, has {}", text.len()),
            ));
        }
        // Asked for in words of bytes first: nearly no value has one.
        if text.as_bytes().contains(&0)
            && let Some(at) = text.bytes().position(|b| b == 0)
        {
            return Err(Invalid::new(
                "value",
                format!("must not hold a NUL character, has one at byte {at}"),
            ));
        }
        Ok(Self(text))
    }

    /// The value as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.0.len())
    }
}

/// What kind of text a value is, such as `application/json`: printable ASCII, at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentType(Arc<str>);

impl Borrow<str> for ContentType {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl ContentType {
    /// Parses a content type; the empty text means that none was given.
    pub fn parse(text: &str) -> Result<Option<Self>, Invalid> {
        plain_text("content_type", text, MAX_CONTENT_TYPE_BYTES)?;
        if !text.is_ascii() {
            return Err(Invalid::new("content_type", "must be ASCII"));
        }
        Ok((!text.is_empty()).then(|| Self(text.into())))
    }

    /// The content type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value with its content type: what a Set sets and a Restore brings back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Content {
    /// The text.
    pub value: Value,
    /// What kind of text it is, if known.
    pub content_type: Option<ContentType>,
}

impl Content {
    /// A value of which nothing more is known.
    pub fn untyped(value: Value) -> Self {
        Self { value, content_type: None }
    }
}
