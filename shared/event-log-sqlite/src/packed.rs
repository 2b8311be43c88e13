//! Many rows in one value. The driver hands over row by row and column by column, each in memory
//! of its own and each with a wake-up between threads; for replays, which read all there is, that
//! costs more than anything else. So SQLite joins the columns of some dozens of rows, and we take
//! them apart: eleven numbers, of which five are lengths, then five texts and the hash in digits.

use std::sync::Arc;

use configapi_event_log::domain::{Position, Timestamp, Version};
use configapi_event_log::{CommandPart, Hash, LogError, StoredEvent, event_type_named};

use crate::fault::corrupt;

/// A row as [`Packed`] takes it apart.
macro_rules! packed {
    () => {
        "concat(format('%d %d %d %d %d %d %d %d %d %d %d ', e.position, e.version, e.recorded_at, \
         e.part_index, e.part_size, e.schema_version, octet_length(e.stream), \
         octet_length(e.event_type), coalesce(octet_length(e.request_id), 0), \
         octet_length(e.payload), octet_length(e.metadata)), \
         e.stream, e.event_type, e.request_id, e.payload, e.metadata, hex(e.hash))"
    };
}
pub(crate) use packed;

/// What is left of a value.
pub(crate) struct Packed<'a> {
    rest: &'a [u8],
    /// The position read last, to name the place if the rest cannot be read.
    last: u64,
}

impl<'a> Packed<'a> {
    pub(crate) fn new(value: &'a [u8], from: Position) -> Self {
        Self { rest: value, last: from.0 }
    }

    fn row(&mut self) -> Option<StoredEvent> {
        let position = self.number()?;
        self.last = position;
        let version = Version(self.number()?);
        let recorded_at = Timestamp(self.signed()?);
        let part = CommandPart { index: self.number()?, size: self.number()? };
        let schema_version = self.number()?;
        let [stream, event_type, request_id, payload, metadata] = [(); 5].map(|()| self.number());
        let stream = self.text(stream?)?;
        let event_type = self.text(event_type?)?;
        let request_id = self.text(request_id?)?;
        Some(StoredEvent {
            position: Position(position),
            version,
            recorded_at,
            part,
            stream: Arc::from(stream),
            event_type: event_type_named(event_type),
            schema_version,
            // The schema refuses an empty one.
            request_id: (!request_id.is_empty()).then(|| Arc::from(request_id)),
            payload: self.text(payload?)?.into(),
            metadata: self.text(metadata?)?.into(),
            hash: self.hash()?,
        })
    }

    /// A number that is not negative and fits where it is wanted.
    fn number<T: TryFrom<i64>>(&mut self) -> Option<T> {
        T::try_from(self.signed()?).ok()
    }

    fn signed(&mut self) -> Option<i64> {
        let end = self.rest.iter().position(|byte| *byte == b' ')?;
        let (digits, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }

    fn hash(&mut self) -> Option<Hash> {
        let (digits, rest) = self.rest.split_at_checked(64)?;
        self.rest = rest;
        let mut hash = Hash::ZERO;
        for (byte, pair) in hash.0.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(hash)
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

impl Iterator for Packed<'_> {
    type Item = Result<StoredEvent, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let row = self.row();
        if row.is_none() {
            self.rest = &[];
        }
        Some(row.ok_or_else(|| corrupt(self.last, "a column holds what it never should")))
    }
}
