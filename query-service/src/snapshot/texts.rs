//! Numbers and texts as few bytes. Texts that come again and again (authors, reasons, kinds of
//! content) are written once and then called by number.

use std::collections::HashMap;

use super::SnapshotError;

/// Not added to the table.
const PLAIN: u64 = 0;
/// Added to the table.
const NEW: u64 = 1;
/// The first number of the table's own.
const FIRST: u64 = 2;
/// The most texts in one table.
const MAX_TEXTS: usize = 4_096;

/// Bytes that are being written.
#[derive(Debug, Default)]
pub(super) struct Output(pub Vec<u8>);

impl Output {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap_or_default());
    }

    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }
}

/// Bytes that are being read.
#[derive(Debug)]
pub(super) struct Input<'a>(pub &'a [u8]);

const SHORT: SnapshotError = SnapshotError::Damaged("a block ends within an item");

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> Result<u8, SnapshotError> {
        let (first, rest) = self.0.split_first().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], SnapshotError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        self.bytes(N)?.try_into().map_err(|_| SHORT)
    }

    pub fn number(&mut self) -> Result<u64, SnapshotError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(SnapshotError::Damaged("a number is too long"))
    }

    pub fn size(&mut self) -> Result<usize, SnapshotError> {
        usize::try_from(self.number()?).map_err(|_| SHORT)
    }

    pub fn text(&mut self) -> Result<&'a str, SnapshotError> {
        let length = self.size()?;
        std::str::from_utf8(self.bytes(length)?)
            .map_err(|_| SnapshotError::Damaged("a text is not UTF-8"))
    }
}

/// The texts that were written so far.
#[derive(Debug, Default)]
pub(super) struct TextsOut(HashMap<String, u64>);

impl TextsOut {
    pub fn write(&mut self, text: &str, to: &mut Output) {
        if let Some(number) = self.0.get(text) {
            return to.number(*number);
        }
        if self.0.len() < MAX_TEXTS {
            self.0.insert(text.to_owned(), FIRST + self.0.len() as u64);
            to.number(NEW);
        } else {
            to.number(PLAIN);
        }
        to.text(text);
    }
}

/// The texts that were read so far, as what they are.
#[derive(Debug)]
pub(super) struct TextsIn<T>(Vec<T>);

impl<T> Default for TextsIn<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> TextsIn<T> {
    pub fn read(
        &mut self,
        from: &mut Input<'_>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, SnapshotError> {
        let number = from.number()?;
        if let Some(index) = number.checked_sub(FIRST) {
            let known = usize::try_from(index).ok().and_then(|index| self.0.get(index));
            return known.cloned().ok_or(SnapshotError::Damaged("a text has no such number"));
        }
        let parsed = parse(from.text()?);
        let text = parsed.ok_or(SnapshotError::Damaged("a text is not what it has to be"))?;
        if number == NEW {
            self.0.push(text.clone());
        }
        Ok(text)
    }
}
