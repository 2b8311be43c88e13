//! Whole answers, written and ready to be sent.

use std::fmt;
use std::marker::PhantomData;

use bytes::{Buf, BufMut};
use configapi_runtime::grpc::{FRAME_BYTES, Framed};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, skip_field};

use super::STATE_BYTES;
use super::fields::{Message, Sink};

/// A message of the contract in its encoded form.
pub struct Encoded<M> {
    /// Behind room for the frame in which it is sent. Nothing at all is a message without a field.
    bytes: Vec<u8>,
    form: PhantomData<fn() -> M>,
}

impl<M> fmt::Debug for Encoded<M> {
    /// Without what is in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

impl<M> Encoded<M> {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.message().len()
    }

    /// Whether all its fields are left out.
    pub fn is_empty(&self) -> bool {
        self.message().is_empty()
    }

    /// Takes all of it, in the frame in which it is sent as it is. None if that cannot be: then nothing
    /// is taken.
    pub(crate) fn take_framed(&mut self) -> Option<Framed> {
        Framed::take(&mut self.bytes)
    }

    fn message(&self) -> &[u8] {
        message(&self.bytes)
    }
}

impl<M: prost::Message + Default> Encoded<M> {
    /// The message itself.
    pub fn decode(&self) -> Result<M, DecodeError> {
        M::decode(self.message())
    }
}

impl<M> Default for Encoded<M> {
    fn default() -> Self {
        Self { bytes: Vec::new(), form: PhantomData }
    }
}

impl<M> prost::Message for Encoded<M> {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(self.message());
    }

    fn encoded_len(&self) -> usize {
        self.len()
    }

    /// A server reads no answers; what is not read is passed over.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buffer, context)
    }

    fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Begins bytes that will be a message of about so many.
fn begin(bytes: &mut Vec<u8>, expected: usize) {
    bytes.reserve(FRAME_BYTES + expected);
    bytes.extend_from_slice(&[0; FRAME_BYTES]);
}

/// The message in bytes that were begun, or never were.
fn message(bytes: &[u8]) -> &[u8] {
    bytes.get(FRAME_BYTES..).unwrap_or_default()
}

/// An answer while it is written: its fields, in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    /// One that will take about so many bytes.
    pub fn with_capacity(expected: usize) -> Self {
        let mut bytes = Vec::new();
        begin(&mut bytes, expected);
        Self(bytes)
    }

    /// With the items of a page as its first field.
    pub fn of(items: Items) -> Self {
        if items.bytes.is_empty() { Self::with_capacity(STATE_BYTES) } else { Self(items.bytes) }
    }

    /// With this text.
    pub fn text(mut self, field: u32, text: &str) -> Self {
        self.0.text(field, text);
        self
    }

    /// With this number.
    pub fn number(mut self, field: u32, number: u64) -> Self {
        self.0.number(field, number);
        self
    }

    /// With this message.
    pub fn message(mut self, field: u32, message: &impl Message) -> Self {
        self.0.message(field, message);
        self
    }

    /// The answer as a message of this form.
    pub fn finish<M>(self) -> Encoded<M> {
        Encoded { bytes: self.0, form: PhantomData }
    }
}

/// The items of a page or a frame while they are written: a repeated field, number 1.
#[derive(Debug, Default)]
pub(crate) struct Items {
    /// Begun with the first item.
    bytes: Vec<u8>,
    count: usize,
    /// How many there may be, as far as is known.
    expected: usize,
}

/// What is taken for the first item, so that it is not moved again and again while it grows.
const FIRST_BYTES: usize = 1 << 10;
/// The most that is taken in advance for items that are expected.
const MAX_RESERVED_BYTES: usize = 1 << 20;

impl Items {
    /// None yet, but there may be so many: room is made for all that are like the first one, for some
    /// that are larger, and for what follows them in an answer.
    pub fn expecting(items: usize) -> Self {
        Self { expected: items, ..Self::default() }
    }

    /// One more.
    pub fn push(&mut self, item: &impl Message) {
        if self.bytes.is_empty() {
            begin(&mut self.bytes, FIRST_BYTES);
        }
        self.bytes.message(1, item);
        self.count += 1;
        if self.count == 1 && self.expected > 1 {
            let rest = self.bytes.len().saturating_mul(self.expected - 1);
            let room = rest.saturating_add(rest / 8).saturating_add(STATE_BYTES);
            self.bytes.reserve(room.min(MAX_RESERVED_BYTES));
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// A place to go back to.
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), count: self.count }
    }

    /// Forgets what was pushed after this mark.
    pub fn truncate(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.count = mark.count;
    }
}

impl Message for Items {
    fn write(&self, out: &mut Vec<u8>) {
        out.raw(message(&self.bytes));
    }
}

/// How much was pushed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark {
    bytes: usize,
    pub count: usize,
}
