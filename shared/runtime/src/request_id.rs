//! What a request is called in answers and logs: the name its sender gave it, if it is harmless,
//! else a new UUID.

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that names a request, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

/// The name of a request: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The name that the sender gave, if it gave one that can be repeated safely.
    pub fn sent_in(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(REQUEST_ID)?;
        let bytes = value.as_bytes();
        let harmless =
            (1..=MAX_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        harmless.then(|| Self(value.clone()))
    }

    /// A new name: a UUID in order of time.
    pub fn generate() -> Self {
        let mut text = Uuid::encode_buffer();
        let text = Uuid::now_v7().hyphenated().encode_lower(&mut text);
        // Hex digits and hyphens are always a header.
        Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-")))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The name as a header's value.
    pub fn as_header(&self) -> &HeaderValue {
        &self.0
    }
}
