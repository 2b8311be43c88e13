//! Protocol Buffers, the half that writes. No message is looked at twice: its length is put in front
//! of it once it is known.

/// A message that can tell its fields.
pub(crate) trait Message {
    /// How many bytes its length most likely takes: 1 up to 127 bytes, 2 up to 16,383.
    const LENGTH_BYTES: usize = 2;

    /// Tells the fields, in the order of their numbers.
    fn write(&self, out: &mut Vec<u8>);
}

impl<M: Message> Message for &M {
    const LENGTH_BYTES: usize = M::LENGTH_BYTES;

    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

/// A buffer that fields go to.
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
    fn message<M: Message>(&mut self, field: u32, message: &M);

    /// The number of a field and the kind of what follows.
    fn key(&mut self, field: u32, kind: u32) {
        self.varint(u64::from((field << 3) | kind));
    }
}

const VARINT: u32 = 0;
const LENGTH_DELIMITED: u32 = 2;
/// As many as any number takes.
const MAX_VARINT_BYTES: usize = 10;

/// How many bytes a number takes.
fn varint_bytes(number: u64) -> usize {
    let bits = u64::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
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

    fn message<M: Message>(&mut self, field: u32, message: &M) {
        self.key(field, LENGTH_DELIMITED);
        let place = self.len();
        self.extend_from_slice(&[0; MAX_VARINT_BYTES][..M::LENGTH_BYTES]);
        let begin = self.len();
        message.write(self);
        let length = (self.len() - begin) as u64;
        if varint_bytes(length) == M::LENGTH_BYTES {
            let mut rest = length;
            for byte in &mut self[place..begin] {
                *byte = u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80;
                rest >>= 7;
            }
            self[begin - 1] &= 0x7f;
        } else {
            let mut told = Vec::with_capacity(MAX_VARINT_BYTES);
            told.varint(length);
            self.splice(place..begin, told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many bytes in a field.
    struct Blob(usize);

    impl Message for Blob {
        fn write(&self, out: &mut Vec<u8>) {
            out.bytes(1, &vec![b'x'; self.0]);
        }
    }

    #[test]
    fn a_message_of_any_length_is_told_with_its_length() {
        for size in [0, 1, 125, 126, 16_379, 16_380, 16_381, 2_100_000] {
            let (mut plain, mut told) = (Vec::new(), Vec::new());
            Blob(size).write(&mut plain);
            told.message(3, &Blob(size));
            assert_eq!(told[0], 3 << 3 | 2);
            let length = prost::decode_length_delimiter(&told[1..]).unwrap();
            assert_eq!(length, plain.len());
            assert_eq!(told[1 + prost::length_delimiter_len(length)..], plain);
        }
    }

    #[test]
    fn numbers_take_as_few_bytes_as_they_can() {
        for number in [0, 1, 127, 128, 16_383, 16_384, usize::MAX] {
            let mut written = Vec::new();
            written.varint(number as u64);
            assert_eq!(written.len(), prost::length_delimiter_len(number));
            assert_eq!(prost::decode_length_delimiter(&*written).ok(), Some(number));
        }
    }
}
