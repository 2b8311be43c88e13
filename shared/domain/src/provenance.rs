//! Who asked for a change, why, and under which ids: what every event carries beside its content.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::Invalid;
use crate::invalid::plain_text;

/// The longest actor, in bytes.
pub const MAX_ACTOR_BYTES: usize = 256;
/// The longest reason, in bytes.
pub const MAX_REASON_BYTES: usize = 1_024;
/// The longest request id, in bytes.
pub const MAX_REQUEST_ID_BYTES: usize = 128;

/// Who asked for a change, as the caller says: at most 256 bytes, may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Actor(Arc<str>);

impl Borrow<str> for Actor {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Actor {
    /// Parses an actor.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        plain_text("actor", text, MAX_ACTOR_BYTES)?;
        Ok(if text.is_empty() { Self::default() } else { Self(text.into()) })
    }

    /// The actor as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a change was asked for, in the caller's words: at most 1,024 bytes, may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ReasonText(Arc<str>);

impl Borrow<str> for ReasonText {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl ReasonText {
    /// Parses a reason. Line breaks and tabs are allowed here, unlike in other short texts.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_REASON_BYTES {
            return Err(Invalid::new(
                "reason",
                format!("must be at most {MAX_REASON_BYTES} bytes, has {}", text.len()),
            ));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Invalid::new("reason", "must not hold control characters"));
        }
        Ok(if text.is_empty() { Self::default() } else { Self(text.into()) })
    }

    /// The reason as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What makes a command repeatable: 1 to 128 bytes of visible ASCII, chosen by the caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Parses a request id.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > MAX_REQUEST_ID_BYTES {
            return Err(Invalid::new(
                "request_id",
                format!("must be 1 to {MAX_REQUEST_ID_BYTES} bytes, has {}", text.len()),
            ));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Invalid::new("request_id", "may hold only visible ASCII characters"));
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceParent(Arc<str>);

impl TraceParent {
    /// Parses a traceparent. Tracing is a courtesy: what cannot be read is left out, not refused.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let hex = |part: Option<&str>, length: usize| {
            part.is_some_and(|p| {
                p.len() == length && p.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
        };
        let well_formed = parts.next() == Some("00")
            && hex(parts.next(), 32)
            && hex(parts.next(), 16)
            && hex(parts.next(), 2)
            && parts.next().is_none();
        well_formed.then(|| Self(text.into()))
    }

    /// The traceparent as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who, why, and under which ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Who asked.
    pub actor: Actor,
    /// Why.
    pub reason: ReasonText,
    /// The caller's request id, or the one that the server gave the request.
    pub request_id: Option<RequestId>,
    /// The trace that the request belonged to.
    pub traceparent: Option<TraceParent>,
}
