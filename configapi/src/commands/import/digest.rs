//! Digests that stand for names, values and changes: small, and without collisions to reckon with.

use sha2::{Digest as _, Sha256};

use crate::commands::records::hex;

/// Half of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 16]);

impl Digest {
    /// The digest of one text.
    pub fn of(text: &str) -> Self {
        Digester::default().text(text).finish()
    }

    /// The digest of a value, known by its own digest, and its content type.
    pub fn of_content(value: Self, content_type: &str) -> Self {
        let mut digester = Digester::default();
        digester.0.update(value.0);
        digester.text(content_type).finish()
    }

    /// A request id that stands for a change: the same change has the same id, so that sending it
    /// again cannot do anything twice.
    pub fn request_id(self) -> String {
        format!("import-{}", hex(&self.0))
    }
}

/// A digest of fields that cannot run into each other.
#[derive(Debug, Clone, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// With one more text.
    pub fn text(self, text: &str) -> Self {
        let mut with = self.number(u64::try_from(text.len()).unwrap_or(u64::MAX));
        with.0.update(text.as_bytes());
        with
    }

    /// With one more number.
    pub fn number(mut self, number: u64) -> Self {
        self.0.update(number.to_be_bytes());
        self
    }

    /// The digest.
    pub fn finish(self) -> Digest {
        let full: [u8; 32] = self.0.finalize().into();
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        Digest(half)
    }
}
