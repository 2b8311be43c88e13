//! Which config is meant: a namespace and a name, compared byte for byte.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::Invalid;

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// The longest namespace, in bytes.
pub const MAX_NAMESPACE_BYTES: usize = 64;

/// A room for names: 1 to 64 bytes of `a-z 0-9 -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// What an unnamed namespace means.
    pub const DEFAULT: &'static str = "default";

    /// Parses a namespace; the empty text means [`Namespace::DEFAULT`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Ok(Self(checked_namespace(text)?.into()))
    }

    /// The namespace as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn checked_namespace(text: &str) -> Result<&str, Invalid> {
    if text.is_empty() {
        return Ok(Namespace::DEFAULT);
    }
    if text.len() > MAX_NAMESPACE_BYTES {
        return Err(Invalid::new(
            "namespace",
            format!("must be 1 to {MAX_NAMESPACE_BYTES} bytes, has {}", text.len()),
        ));
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err(Invalid::new("namespace", "may hold only a-z, 0-9 and -"));
    }
    Ok(text)
}

/// A checked namespace has at most [`MAX_NAMESPACE_BYTES`], so its length always fits.
fn length_of(namespace: &str) -> u8 {
    u8::try_from(namespace.len()).unwrap_or(u8::MAX)
}

fn name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
}

fn checked_name(text: &str) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > MAX_NAME_BYTES {
        return Err(Invalid::new(
            "name",
            format!("must be 1 to {MAX_NAME_BYTES} bytes, has {}", text.len()),
        ));
    }
    if !text.bytes().all(name_byte) {
        return Err(Invalid::new("name", "may hold only A-Z, a-z, 0-9, _, -, . and /"));
    }
    if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(Invalid::new("name", "must not have an empty, `.` or `..` segment"));
    }
    Ok(())
}

/// A config's identity. Cheap to clone; held as one text, `namespace/name`, which is also the name
/// of its stream of events (a namespace has no `/`, so the text has one reading only).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ConfigKey {
    stream: Arc<str>,
    namespace_bytes: u8,
}

impl ConfigKey {
    /// Parses a key; an empty namespace means the default one.
    pub fn parse(namespace: &str, name: &str) -> Result<Self, Invalid> {
        let namespace = checked_namespace(namespace)?;
        checked_name(name)?;
        Ok(Self::joined(namespace, name))
    }

    /// Parses the name of a stream, `namespace/name`, and shares it.
    pub fn of_stream(stream: Arc<str>) -> Result<Self, Invalid> {
        let Some((namespace, name)) = stream.split_once('/') else {
            return Err(Invalid::new("stream", "must be namespace/name"));
        };
        if namespace.is_empty() {
            return Err(Invalid::new("namespace", "must not be empty in a stream's name"));
        }
        checked_namespace(namespace)?;
        checked_name(name)?;
        let namespace_bytes = length_of(namespace);
        Ok(Self { stream, namespace_bytes })
    }

    fn joined(namespace: &str, name: &str) -> Self {
        let mut stream = String::with_capacity(namespace.len() + 1 + name.len());
        stream.push_str(namespace);
        stream.push('/');
        stream.push_str(name);
        Self { stream: stream.into(), namespace_bytes: length_of(namespace) }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.stream[..usize::from(self.namespace_bytes)]
    }

    /// The name within its namespace.
    pub fn name(&self) -> &str {
        &self.stream[usize::from(self.namespace_bytes) + 1..]
    }

    /// `namespace/name`.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// `namespace/name`, shared.
    pub fn shared_stream(&self) -> Arc<str> {
        Arc::clone(&self.stream)
    }
}

impl fmt::Debug for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigKey({})", self.stream)
    }
}

impl fmt::Display for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stream)
    }
}

impl Ord for ConfigKey {
    /// By namespace, then by name, byte for byte.
    fn cmp(&self, other: &Self) -> Ordering {
        self.namespace().cmp(other.namespace()).then_with(|| self.name().cmp(other.name()))
    }
}

impl PartialOrd for ConfigKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The beginning of names: any text that a name could start with, the empty one included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct NamePrefix(String);

impl NamePrefix {
    /// Parses a prefix.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_NAME_BYTES {
            return Err(Invalid::new(
                "prefix",
                format!("must be at most {MAX_NAME_BYTES} bytes, has {}", text.len()),
            ));
        }
        if !text.bytes().all(name_byte) {
            return Err(Invalid::new("prefix", "may hold only A-Z, a-z, 0-9, _, -, . and /"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name begins with this prefix.
    pub fn matches(&self, name: &str) -> bool {
        name.starts_with(&self.0)
    }
}
