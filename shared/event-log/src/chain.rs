//! The hash chain: each row's hash covers the row and the hash before it, so nobody can edit, drop
//! or reorder rows without every later hash telling. The layout below is a stored form: it never
//! changes, or every log ever written would look tampered with.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::StoredEvent;
use configapi_domain::Position;

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the genesis row is chained to.
    pub const ZERO: Self = Self([0; 32]);

    /// Reads a hash from a column.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A row whose hash does not follow from the row before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the hash chain breaks at position {position}: the row holds {found}, its content and the row before it give {computed}"
)]
pub struct ChainBreak {
    /// The first row that does not fit.
    pub position: Position,
    /// The hash that the row holds.
    pub found: Hash,
    /// The hash that it should hold.
    pub computed: Hash,
}

/// The hash that a row must hold if `previous` is the hash of the row before it.
///
/// The bytes hashed are, in this order: the previous hash (32 bytes); position, version and
/// recorded-at in microseconds (8 bytes each, big-endian); command index, command size and schema
/// version (4 bytes each, big-endian); then stream, event type, request id, payload and metadata,
/// each as a 4-byte big-endian length and that many bytes of UTF-8. A missing request id has the
/// length 0, which no request id has.
pub fn hash_of(previous: Hash, row: &StoredEvent) -> Hash {
    let texts: [&str; 5] = [
        &row.stream,
        &row.event_type,
        row.request_id.as_deref().unwrap_or_default(),
        &row.payload,
        &row.metadata,
    ];
    let mut numbers = [0_u8; 68];
    numbers[..32].copy_from_slice(&previous.0);
    numbers[32..40].copy_from_slice(&row.position.0.to_be_bytes());
    numbers[40..48].copy_from_slice(&row.version.0.to_be_bytes());
    numbers[48..56].copy_from_slice(&row.recorded_at.0.to_be_bytes());
    numbers[56..60].copy_from_slice(&row.part.index.to_be_bytes());
    numbers[60..64].copy_from_slice(&row.part.size.to_be_bytes());
    numbers[64..68].copy_from_slice(&row.schema_version.to_be_bytes());
    let mut hasher = Sha256::new();
    hasher.update(numbers);
    for text in texts {
        // Limits keep every text far below 4 GiB; a longer one would hash differently, not panic.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        hasher.update(length.to_be_bytes());
        hasher.update(text.as_bytes());
    }
    Hash(hasher.finalize().into())
}

/// Gives a row its hash.
pub fn seal(previous: Hash, row: &mut StoredEvent) {
    row.hash = hash_of(previous, row);
}

/// Checks that a row's hash follows from the row before it.
pub fn verify_link(previous: Hash, row: &StoredEvent) -> Result<(), ChainBreak> {
    let computed = hash_of(previous, row);
    if computed == row.hash {
        return Ok(());
    }
    Err(ChainBreak { position: row.position, found: row.hash, computed })
}
