//! Ids as few bytes: nearly every request id is a UUID, and every trace context is hexadecimal.
//! What is unpacked is, byte for byte, what was packed.

use configapi_domain::{RequestId, TraceParent};
use uuid::Uuid;

/// A request id, in 16 bytes if it is a UUID in its usual form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PackedRequestId {
    /// There is none.
    Absent,
    /// 36 characters, lower case, with hyphens.
    Uuid([u8; 16]),
    /// Any other text.
    Text(RequestId),
}

impl PackedRequestId {
    pub fn pack(id: Option<RequestId>) -> Self {
        let Some(id) = id else { return Self::Absent };
        match Uuid::try_parse(id.as_str()) {
            Ok(uuid) if is_usual_form(uuid, id.as_str()) => Self::Uuid(uuid.into_bytes()),
            _ => Self::Text(id),
        }
    }

    /// Shows what was packed, empty if there is nothing.
    pub fn with_text<T>(&self, see: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Absent => see(""),
            Self::Uuid(bytes) => {
                see(Uuid::from_bytes(*bytes).hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
            Self::Text(id) => see(id.as_str()),
        }
    }
}

fn is_usual_form(uuid: Uuid, text: &str) -> bool {
    text == &*uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer())
}

/// A trace context of version 00: trace id, span id and flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackedTrace(Box<[u8; Self::BYTES]>);

impl PackedTrace {
    pub const BYTES: usize = 16 + 8 + 1;

    pub fn pack(trace: &TraceParent) -> Option<Self> {
        let mut bytes = [0; Self::BYTES];
        let digits: Vec<u8> =
            trace.as_str().bytes().skip("00-".len()).filter(|b| *b != b'-').map(nibble).collect();
        let pairs = digits.chunks_exact(2);
        if pairs.len() != Self::BYTES {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            *byte = (pair[0] << 4) | pair[1];
        }
        Some(Self(Box::new(bytes)))
    }

    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(Box::new(bytes))
    }

    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Shows what was packed.
    pub fn with_text<T>(&self, see: impl FnOnce(&str) -> T) -> T {
        let mut text = *b"00-                                -                -  ";
        let (trace, rest) = text[3..].split_at_mut(32);
        let (span, flags) = rest[1..].split_at_mut(16);
        let digits = trace.iter_mut().chain(span).chain(&mut flags[1..]);
        let nibbles = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        for (place, nibble) in digits.zip(nibbles) {
            *place = digit(nibble);
        }
        see(std::str::from_utf8(&text).unwrap_or_default())
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'0') & 15,
    }
}

fn digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble & 15)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unpacked_is_what_was_packed() {
        for text in [
            "018f4e8a-0000-7abc-8def-0123456789ab",
            "018F4E8A-0000-7ABC-8DEF-0123456789AB",
            "{018f4e8a-0000-7abc-8def-0123456789ab}",
            "018f4e8a00007abc8def0123456789ab",
            "deploy-42",
        ] {
            let id = RequestId::parse(text).unwrap();
            PackedRequestId::pack(Some(id)).with_text(|unpacked| assert_eq!(unpacked, text));
        }
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = TraceParent::parse(text).unwrap();
        PackedTrace::pack(&trace).unwrap().with_text(|unpacked| assert_eq!(unpacked, text));
    }

    #[test]
    fn a_uuid_in_its_usual_form_takes_no_allocation() {
        let id = RequestId::parse("018f4e8a-0000-7abc-8def-0123456789ab").unwrap();
        assert!(matches!(PackedRequestId::pack(Some(id)), PackedRequestId::Uuid(_)));
    }
}
