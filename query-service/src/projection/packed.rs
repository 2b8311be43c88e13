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

    pub fn to_text(&self) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Uuid(bytes) => Uuid::from_bytes(*bytes).hyphenated().to_string(),
            Self::Text(id) => id.as_str().to_owned(),
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

    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00");
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 0 | 16 | 24) {
                text.push('-');
            }
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        text
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'0') & 15,
    }
}

fn digit(nibble: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(nibble & 15)])
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
            assert_eq!(PackedRequestId::pack(Some(id)).to_text(), text);
        }
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = TraceParent::parse(text).unwrap();
        assert_eq!(PackedTrace::pack(&trace).unwrap().to_text(), text);
    }

    #[test]
    fn a_uuid_in_its_usual_form_takes_no_allocation() {
        let id = RequestId::parse("018f4e8a-0000-7abc-8def-0123456789ab").unwrap();
        assert!(matches!(PackedRequestId::pack(Some(id)), PackedRequestId::Uuid(_)));
    }
}
