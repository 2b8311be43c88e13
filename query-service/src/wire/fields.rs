//! Protocol Buffers, the half that writes: fields go to a sink, and there are two sinks, one that
//! counts and one that writes, so that a message is described once and its length is always right.

/// A message that can tell its fields.
pub(crate) trait Message {
    /// Tells the fields, in the order of their numbers.
    fn write(&self, out: &mut impl Sink);

    /// How many bytes the fields take.
    fn length(&self) -> usize {
        let mut count = Count(0);
        self.write(&mut count);
        count.0
    }
}

impl<M: Message> Message for &M {
    fn write(&self, out: &mut impl Sink) {
        (**self).write(out);
    }
}

/// Where fields go.
pub(crate) trait Sink {
    /// Bytes as they are.
    fn raw(&mut self, bytes: &[u8]);

    /// A number in as few bytes as it needs.
    fn varint(&mut self, number: u64);

    /// A text; an empty one is left out.
    fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// Bytes; none are left out.
    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.present_bytes(field, bytes);
        }
    }

    /// Bytes that are there even if there are none: of an `optional` field, or one of a `oneof`.
    fn present_bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, LENGTH_DELIMITED);
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    /// A number; 0 is left out.
    fn number(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.key(field, VARINT);
            self.varint(number);
        }
    }

    /// A message, even if it has no field.
    fn message(&mut self, field: u32, message: &impl Message)
    where
        Self: Sized,
    {
        self.key(field, LENGTH_DELIMITED);
        self.varint(message.length() as u64);
        message.write(self);
    }

    /// The number of a field and the kind of what follows.
    fn key(&mut self, field: u32, kind: u32) {
        self.varint(u64::from((field << 3) | kind));
    }
}

const VARINT: u32 = 0;
const LENGTH_DELIMITED: u32 = 2;

/// Counts what would be written.
struct Count(usize);

impl Sink for Count {
    fn raw(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn varint(&mut self, number: u64) {
        // Seven bits a byte, and one byte for 0.
        let bits = u64::BITS - (number | 1).leading_zeros();
        self.0 += bits.div_ceil(7) as usize;
    }
}

impl Sink for Vec<u8> {
    fn raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
            number >>= 7;
        }
        self.push(u8::try_from(number).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_is_written() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let (mut count, mut written) = (Count(0), Vec::new());
            count.varint(number);
            written.varint(number);
            assert_eq!(count.0, written.len(), "{number}");
            assert_eq!(
                prost::decode_length_delimiter(&*written).ok(),
                usize::try_from(number).ok()
            );
        }
    }
}
